//! How requests share connections to the upstream.

use std::process::Command;

use codex_test_support::{
    End, Framing, Gate, MockUpstream, OnAccept, Proxy, RefusedPort, Reply, Step,
};

use crate::custody::skipped;
use crate::{PROXY, RESPONSES, ask, begin, in_front_of};

/// What the mock allows on a connection; a client of one connection starts no more.
const STREAMS: u32 = 100;
/// More than two connections can take.
const CALLERS: usize = 250;

fn full_house(reply: Reply) -> MockUpstream {
    MockUpstream::builder()
        .h2()
        .max_concurrent_streams(STREAMS)
        .script(reply)
        .start()
}

#[test]
fn more_requests_than_a_connection_may_carry_all_start_at_once() {
    let gate = Gate::new();
    let upstream = full_house(Reply::event_stream().data("data: 1\n\n").hold(&gate));
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], "{}");
            caller
        })
        .collect();
    for caller in &mut callers {
        // None of them leaves or is answered to the end before all of them have begun.
        assert_eq!(caller.read_head().status, 200);
        caller.wait_for_body("data: 1");
    }
    let connections = upstream.connections();
    // Four, and not the three that would be enough if requests waited for a stream; on a machine
    // that takes a second to connect, requests have opened further connections.
    assert!(
        (4..=6).contains(&connections),
        "{connections} connections for {CALLERS}"
    );
}

/// How many requests a connection carries is what the server says; and no number of ours makes those wait
/// for whom another connection could be had.
#[test]
fn a_server_that_allows_few_streams_gets_more_connections() {
    for (streams, callers) in [(10, 30), (3, 30), (2, 40), (1, 150)] {
        let gate = Gate::new();
        let upstream = MockUpstream::builder()
            .h2()
            .max_concurrent_streams(streams)
            .script(Reply::event_stream().data("data: 1\n\n").hold(&gate))
            .start();
        let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
        let mut callers: Vec<_> = (0..callers)
            .map(|_| {
                let mut caller = proxy.client();
                caller.post(RESPONSES, &[], "{}");
                caller
            })
            .collect();
        for caller in &mut callers {
            // Nobody is answered to the end before all have begun.
            assert_eq!(caller.read_head().status, 200, "{streams} streams");
        }
        gate.release();
        for caller in &mut callers {
            while caller.read_body_some().is_some() {}
            assert_eq!(caller.end(), Some(End::Clean));
        }
    }
}

#[test]
fn streams_are_released_when_callers_disconnect() {
    let gate = Gate::new();
    let upstream = full_house(Reply::event_stream().data("data: 1\n\n").hold(&gate));
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    for round in 0..3 {
        let callers: Vec<_> = (0..50).map(|_| begin(&proxy)).collect();
        drop(callers);
        for index in round * 50..(round + 1) * 50 {
            upstream.wait_for_cancel(index);
        }
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn after_goaway_what_is_open_ends_well_and_the_next_request_connects_anew() {
    let gate = Gate::new();
    let upstream = MockUpstream::h2(vec![
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
        Reply::event_stream().step(Step::GoAway).data("data: 3\n\n"),
        Reply::responses("hi"),
    ]);
    let proxy = in_front_of(&upstream).start();
    let mut first = begin(&proxy);
    first.wait_for_body("data: 1");
    assert_eq!(ask(&proxy).text(), "data: 3\n\n");
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(upstream.connections(), 2);
    gate.release();
    first.wait_for_body("data: 2");
}

#[test]
fn a_burst_after_goaway_makes_one_new_connection() {
    let gate = Gate::new();
    let upstream = MockUpstream::builder()
        .h2()
        .handler({
            let gate = gate.clone();
            move |request| {
                let reply = Reply::event_stream();
                match request.index {
                    5 => reply.step(Step::GoAway).data("data: 1\n\n"),
                    _ => reply.data("data: 1\n\n").hold(&gate),
                }
            }
        })
        .start();
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    // Answers under way on the old connection say nothing about a new one.
    let _old: Vec<_> = (0..5).map(|_| begin(&proxy)).collect();
    assert_eq!(ask(&proxy).status, 200);
    let mut burst: Vec<_> = (0..30)
        .map(|_| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], "{}");
            caller
        })
        .collect();
    for caller in &mut burst {
        assert_eq!(caller.read_head().status, 200);
        caller.wait_for_body("data: 1");
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn when_the_first_of_a_burst_gives_up_the_others_do_not_all_connect() {
    let upstream = MockUpstream::builder()
        .h2()
        .on_accept(OnAccept::Ignore)
        .start();
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    let mut first = proxy.client();
    first.post(RESPONSES, &[], "{}");
    upstream.wait_for_connections(1);
    let burst: Vec<_> = (0..20)
        .map(|_| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], "{}");
            caller
        })
        .collect();
    // Served by the same thread, after all of these.
    assert_eq!(proxy.client().get("/").read_answer().status, 403);
    assert_eq!(upstream.connections(), 1);
    first.close();
    upstream.wait_for_connections(3);
    assert_eq!(proxy.client().get("/").read_answer().status, 403);
    assert!(upstream.connections() < 10);
    drop(burst);
}

#[test]
fn an_http_1_connection_is_used_again_however_an_answer_says_where_it_ends() {
    for framing in [Framing::Chunked, Framing::ContentLength] {
        let upstream = MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").framing(framing));
        let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
        let mut client = proxy.client();
        for turn in 0..20 {
            let answer = client.post(RESPONSES, &[], "{}").read_answer();
            assert_eq!((answer.status, answer.end), (200, End::Clean));
            assert_eq!(upstream.connections(), 1, "{framing:?} {turn}");
        }
    }
}

#[test]
fn the_connection_can_be_there_before_the_first_request() {
    let nothing = Reply::json(400, &serde_json::json!({"error": {"message": "no model"}}));
    let upstream = MockUpstream::h2(vec![nothing, Reply::responses("hi")]);
    let proxy = in_front_of(&upstream)
        .args(["--preconnect", "--threads", "1"])
        .start();
    let ahead = upstream.wait_for_answered(0);
    assert_eq!(
        (ahead.method.as_str(), ahead.text()),
        ("POST", "{}".to_owned())
    );
    // Served by the same thread, which has read that answer by then.
    for _ in 0..5 {
        assert_eq!(proxy.client().get("/").read_answer().status, 403);
    }
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(upstream.connections(), 1);
    assert!(!proxy.stderr_so_far().contains("no connection"));
}

#[test]
fn a_key_that_is_refused_is_known_at_the_start() {
    let upstream = MockUpstream::h2(Reply::new(401));
    let proxy = in_front_of(&upstream).args(["--preconnect"]).start();
    proxy.wait_for_stderr("the upstream refuses the key (401 Unauthorized)");
}

/// Whoever starts it has to know before anybody depends on it: no file says that there is a proxy, and no line either.
#[test]
fn a_key_that_is_refused_can_end_the_start() {
    for status in [401, 403] {
        let upstream = MockUpstream::h2(Reply::new(status));
        let mut proxy = in_front_of(&upstream)
            .args(["--preconnect=require"])
            .server_info()
            .spawn();
        assert_eq!(proxy.wait_exit().code(), Some(1));
        let said = proxy.stderr_so_far();
        let refused = format!("Error: the upstream refuses the key ({status} ");
        assert!(said.starts_with(&refused), "{said}");
        assert!(
            said.contains("replace it (standard input) and start again"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!proxy.info_file().exists());
    }
}

/// A network that is not up yet says nothing of the key: a host whose network comes late still has a proxy.
#[test]
fn an_upstream_out_of_reach_does_not_end_the_start() {
    let nobody = RefusedPort::new();
    let proxy = Proxy::builder(PROXY)
        .upstream_url(&nobody.url())
        .args(["--preconnect=require"])
        .start();
    proxy.wait_for_stderr("no connection yet: upstream_connect: ");
    assert_eq!(ask(&proxy).status, 502);
}

#[test]
fn a_connection_that_could_not_be_made_ahead_is_reported_and_no_more() {
    let nobody = RefusedPort::new();
    let proxy = Proxy::builder(PROXY)
        .upstream_url(&nobody.url())
        .args(["--preconnect"])
        .start();
    proxy.wait_for_stderr("no connection yet: upstream_connect: ");
    assert_eq!(ask(&proxy).status, 502);
}

#[test]
fn every_thread_serves_and_has_connections_of_its_own() {
    let gate = Gate::new();
    let reply = Reply::event_stream()
        .data("data: 1\n\n")
        .hold(&gate)
        .data("data: 2\n\n");
    let upstream = MockUpstream::h2(reply);
    let proxy = in_front_of(&upstream).args(["--threads", "3"]).start();
    // The first eight stay with the first thread.
    let mut callers: Vec<_> = (0..8).map(|_| begin(&proxy)).collect();
    assert_eq!(upstream.connections(), 1);
    callers.extend((0..2).map(|_| begin(&proxy)));
    assert_eq!(upstream.connections(), 3);
    gate.release();
    for caller in &mut callers {
        caller.wait_for_body("data: 2");
    }
}

#[test]
fn requests_of_every_thread_are_drained_and_cut_alike() {
    for patient in [true, false] {
        let gate = Gate::new();
        let reply = Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n");
        let upstream = MockUpstream::h2(reply);
        let mut proxy = in_front_of(&upstream).args(["--threads", "3"]).start();
        let mut callers: Vec<_> = (0..12).map(|_| begin(&proxy)).collect();
        proxy.signal(15);
        proxy.wait_for_stderr("shutting down");
        if patient {
            gate.release();
        } else {
            proxy.signal(15);
        }
        for caller in &mut callers {
            while caller.read_body_some().is_some() {}
            assert_eq!(
                caller.end(),
                Some(if patient { End::Clean } else { End::Cut })
            );
        }
        let code = proxy.wait_exit().code();
        assert_eq!(code, Some(if patient { 0 } else { 143 }));
    }
}

#[test]
fn threads_do_not_take_the_descriptors_of_callers() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        return skipped("prlimit is not installed");
    }
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .under(["prlimit", "--nofile=64"])
        .args(["--threads", "16"])
        .start();
    proxy.wait_for_stderr("5 threads serve, not 16");
    let _idle: Vec<_> = (0..100).map(|_| proxy.client()).collect();
    for _ in 0..20 {
        assert_eq!(ask(&proxy).status, 200);
    }
}

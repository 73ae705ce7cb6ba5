//! What has arrived in time counts, although the proxy looks at its clock first.
//!
//! A proxy that is stopped for a while goes on with its deadlines overdue, and everything that was sent
//! meanwhile lies in its sockets. Time itself is what is tested here: the proxy stands still for as long
//! as a deadline takes.

use std::thread;
use std::time::Duration;

use codex_test_support::{Client, End, Gate, MockUpstream, Proxy, Reply, assert_openai_error};

use crate::lifecycle::signal;
use crate::{RESPONSES, ask, in_front_of};

/// The deadline under test, and how long the proxy stands still.
const DEADLINE: &str = "600ms";
const STANDSTILL: Duration = Duration::from_millis(1000);

/// Does `meanwhile` while the proxy stands still for longer than [`DEADLINE`].
fn while_it_stands_still(proxy: &Proxy, meanwhile: impl FnOnce()) {
    // Whatever was sent before is looked at.
    assert_eq!(proxy.client().get("/").read_answer().status, 403);
    proxy.signal(signal("STOP"));
    meanwhile();
    thread::sleep(STANDSTILL);
    proxy.signal(signal("CONT"));
}

#[test]
fn a_head_that_arrived_while_the_proxy_was_stopped_is_answered() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--header-timeout", DEADLINE])
        .start();
    let request = "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    // Nothing or a part of the request is sent before the stop, on many connections.
    let mut callers: Vec<(Client, usize)> = (0..60)
        .map(|n| {
            let (mut client, before) = (proxy.client(), n % 20);
            client.send(&request[..before]);
            (client, before)
        })
        .collect();
    // Between two requests.
    let mut idle = proxy.client();
    assert_eq!(idle.send(request).read_answer().status, 200);
    idle.send(&request[..7]);
    callers.push((idle, 7));
    while_it_stands_still(&proxy, || {
        for (client, before) in &mut callers {
            client.send(&request[*before..]);
        }
    });
    for (client, before) in &mut callers {
        let answer = client.read_answer();
        assert_eq!(answer.status, 200, "behind {before}: {}", answer.text());
    }
}

#[test]
fn a_head_that_did_not_arrive_gets_no_further_time() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .args(["--header-timeout", DEADLINE])
        .start();
    let (mut slow, mut silent) = (proxy.client(), proxy.client());
    slow.send("POST /v1");
    while_it_stands_still(&proxy, || {
        slow.send("/responses");
    });
    assert_openai_error(&slow.read_answer(), 408, "header_timeout");
    assert_eq!(silent.read_to_close(), (Vec::new(), End::Clean));
}

#[test]
fn a_body_that_arrived_while_the_proxy_was_stopped_is_forwarded() {
    for upstream in [
        MockUpstream::h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let proxy = in_front_of(&upstream)
            .args(["--body-timeout", DEADLINE])
            .start();
        let mut client = proxy.client();
        client.post(RESPONSES, &[("content-length", "4")], "{}");
        upstream.wait_for_body_len(0, 2);
        while_it_stands_still(&proxy, || {
            client.send("  ");
        });
        let answer = client.read_answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn an_answer_that_arrived_while_the_proxy_was_stopped_is_passed_on() {
    for start in [MockUpstream::h1, MockUpstream::h2] {
        let gate = Gate::new();
        let upstream = start(Reply::event_stream().hold_head(&gate).data("data: 1\n\n"));
        let proxy = in_front_of(&upstream)
            .args(["--upstream-timeout", DEADLINE])
            .start();
        let mut client = proxy.client();
        client.post(RESPONSES, &[], "{}");
        upstream.wait_for_complete(0);
        // The time allowed runs anew after the request body has made progress.
        thread::sleep(Duration::from_millis(700));
        while_it_stands_still(&proxy, || gate.release());
        let answer = client.read_answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // The other way round: what has not come in time is still missed.
    let upstream = MockUpstream::h1(Reply::silence());
    let proxy = in_front_of(&upstream)
        .args(["--upstream-timeout", DEADLINE])
        .start();
    assert_openai_error(&ask(&proxy), 504, "upstream_timeout");
}

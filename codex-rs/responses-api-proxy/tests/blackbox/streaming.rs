//! Event by event, in both directions, in bounded memory.

use codex_test_support::{Gate, MockUpstream, Reply, assert_openai_error};

use crate::{RESPONSES, ask, in_front_of};

/// What long answers here are made of: no letters, which a build without optimisation takes
/// long to search for the key.
const FILLER: u8 = b' ';

/// How much larger than `--max-body` a body is, and the most memory it may take.
const MIB: usize = 1024 * 1024;

fn all_kinds(reply: &Reply) -> [MockUpstream; 3] {
    [
        MockUpstream::h1(reply.clone()),
        MockUpstream::tls_h1(reply.clone()),
        MockUpstream::h2(reply.clone()),
    ]
}

/// What one large body may take besides the program itself, in KiB: a part of what it would be as a whole.
const ADDED_KIB: u64 = 6 * 1024;

#[test]
fn each_event_is_delivered_before_the_next_one_is_sent() {
    let gates: Vec<Gate> = (0..10).map(|_| Gate::new()).collect();
    for upstream in all_kinds(&Reply::made({
        let gates = gates.clone();
        move |request| {
            // The second and third upstream find the gates open; theirs is the order.
            let gates = if request.index == 0 { &gates[..] } else { &[] };
            gates
                .iter()
                .enumerate()
                .fold(Reply::event_stream(), |reply, (n, gate)| {
                    reply.data(format!("data: {n}\n\n")).hold(gate)
                })
        }
    })) {
        let proxy = in_front_of(&upstream).start();
        let mut client = proxy.client();
        client.post(RESPONSES, &[], "{}");
        assert_eq!(client.read_head().status, 200);
        for (n, gate) in gates.iter().enumerate() {
            client.wait_for_body(&format!("data: {n}\n\n"));
            gate.release();
        }
    }
}

#[test]
fn data_that_arrives_together_is_sent_in_few_writes() {
    let event = format!("data: {}\n\n", "x".repeat(140));
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let answer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(200)
    );
    let upstream = MockUpstream::h1(Reply::raw(answer, false));
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[("connection", "close")], "{}");
    let (bytes, _end) = client.read_to_close();
    let text = String::from_utf8(bytes).unwrap();
    let (_head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.matches('x').count(), 200 * 140);
    // A size and its end; the events have no CR.
    let chunks = body.matches("\r\n").count() / 2 - 1;
    assert!(chunks < 100, "{chunks} pieces for 200 events");
}

#[test]
fn a_head_is_delivered_before_its_body_begins() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(Reply::event_stream().hold(&gate).data("data: x\n\n"));
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    assert_eq!(client.read_head().status, 200);
    gate.release();
    client.wait_for_body("data: x");
}

#[test]
fn an_upload_streams_too() {
    for upstream in all_kinds(&Reply::responses("hi")) {
        let proxy = in_front_of(&upstream).start();
        let mut client = proxy.client();
        client.post(RESPONSES, &[("content-length", "6")], "one");
        upstream.wait_for_body_len(0, 3);
        client.send("two");
        assert_eq!(client.read_answer().status, 200);
        assert_eq!(upstream.wait_for_complete(0).text(), "onetwo");
    }
}

#[test]
fn a_disconnect_of_the_caller_cancels_its_request() {
    for silent in [true, false] {
        let gate = Gate::new();
        let reply = if silent {
            Reply::silence()
        } else {
            Reply::event_stream().data("data: 1\n\n").hold(&gate)
        };
        for upstream in all_kinds(&reply) {
            let proxy = in_front_of(&upstream).start();
            for by_reset in [false, true] {
                let index = upstream.requests().len();
                let mut client = proxy.client();
                client.post(RESPONSES, &[], "{}");
                upstream.wait_for_complete(index);
                if !silent {
                    client.read_head();
                    client.wait_for_body("data: 1");
                }
                if by_reset {
                    client.reset();
                } else {
                    client.close();
                }
                upstream.wait_for_cancel(index);
            }
        }
    }
}

#[test]
fn a_large_body_passes_in_little_memory() {
    let whole = vec![b'x'; 64 * MIB];
    let upstream = MockUpstream::builder()
        .script(Reply::responses("hi"))
        .discard_body()
        .start();
    let proxy = in_front_of(&upstream).start();
    let idle = proxy.rss_peak_kib();
    let answer = proxy.client().post(RESPONSES, &[], &whole).read_answer();
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.wait_for_complete(0).body_len, 64 * MIB as u64);
    let peak = proxy.rss_peak_kib();
    assert!(
        peak < idle + ADDED_KIB,
        "the peak was {peak} KiB, from {idle}"
    );
}

#[test]
fn a_body_over_the_limit_gets_413_and_is_never_completed() {
    let upstream = MockUpstream::builder().discard_body().start();
    let proxy = in_front_of(&upstream).start();
    let idle = proxy.rss_peak_kib();
    let over = vec![b'x'; 65 * MIB];
    let declared = proxy.client().post(RESPONSES, &[], &over).read_answer();
    assert_openai_error(&declared, 413, "body_too_large");
    assert!(upstream.requests().is_empty());

    let mut client = proxy.client();
    client.post(RESPONSES, &[("transfer-encoding", "chunked")], "");
    let chunk = [format!("{MIB:x}\r\n").as_bytes(), &over[..MIB], b"\r\n"].concat();
    for _ in 0..65 {
        client.send(&chunk);
    }
    assert_openai_error(&client.read_answer(), 413, "body_too_large");
    assert!(!upstream.wait_for_cancel(0).complete);
    let peak = proxy.rss_peak_kib();
    assert!(
        peak < idle + ADDED_KIB,
        "the peak was {peak} KiB, from {idle}"
    );
}

#[test]
fn the_limit_is_the_one_given_to_the_byte() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).args(["--max-body", "1KiB"]).start();
    let ask = |length: usize| {
        proxy
            .client()
            .post(RESPONSES, &[], vec![b'x'; length])
            .read_answer()
    };
    assert_eq!(ask(1024).status, 200);
    assert_openai_error(&ask(1025), 413, "body_too_large");
    let chunked = |length: usize| {
        let body = format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
        proxy
            .client()
            .post(RESPONSES, &[("transfer-encoding", "chunked")], body)
            .read_answer()
    };
    assert_eq!(chunked(1024).status, 200);
    assert_openai_error(&chunked(1025), 413, "body_too_large");
}

#[test]
fn callers_that_stop_reading_do_not_slow_others_on_the_same_connection() {
    let upstream = MockUpstream::h2(Reply::bytes(
        200,
        "text/event-stream",
        vec![FILLER; 16 * MIB],
    ));
    let proxy = in_front_of(&upstream).start();
    // The program itself is half of it. What comes on top is 14 MiB, and 16 MiB with musl's allocator, where five
    // unread answers would be 80.
    let idle = proxy.rss_peak_kib();
    let mut unread: Vec<_> = (0..5).map(|_| proxy.client()).collect();
    for client in &mut unread {
        client.post(RESPONSES, &[], "{}");
        assert_eq!(client.read_head().status, 200);
    }
    let answer = ask(&proxy);
    assert_eq!(answer.body.len(), 16 * MIB);
    let peak = proxy.rss_peak_kib();
    assert!(
        peak < idle + 18 * 1024,
        "the peak was {peak} KiB, from {idle}"
    );
}

#[test]
fn a_caller_that_stops_reading_slows_its_upstream_down() {
    let upstream = MockUpstream::h1(Reply::bytes(
        200,
        "text/event-stream",
        vec![FILLER; 64 * MIB],
    ));
    let proxy = in_front_of(&upstream).start();
    let idle = proxy.rss_peak_kib();
    let mut slow = proxy.client();
    slow.post(RESPONSES, &[], "{}");
    assert_eq!(slow.read_head().status, 200);
    // Another caller is served while the first one reads nothing.
    let mut other = proxy.client();
    other.post(RESPONSES, &[], "{}");
    assert_eq!(other.read_answer().body.len(), 64 * MIB);
    let peak = proxy.rss_peak_kib();
    assert!(
        peak < idle + ADDED_KIB,
        "the peak was {peak} KiB, from {idle}"
    );
    let head_only = slow.body_so_far().len();
    assert!(
        head_only < MIB,
        "{head_only} bytes were pushed on a reader that did not ask"
    );
}

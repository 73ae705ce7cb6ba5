//! What the mock upstream records of requests.

use codex_test_support::{Client, End, Framing, Gate, MockUpstream, Reply, body_hash};

use crate::{PATH, ask};

#[test]
fn a_peer_that_leaves_is_noticed() {
    for (name, reply) in [
        ("silent", Reply::silence()),
        ("held", Reply::new(200).hold_head(&Gate::new())),
    ] {
        for reset in [false, true] {
            let upstream = MockUpstream::h1(reply.clone());
            let client = ask(&upstream);
            upstream.wait_for_complete(0);
            if reset {
                client.reset()
            } else {
                client.close()
            }
            assert!(upstream.wait_for_cancel(0).complete, "{name}");
            upstream.wait_for_disconnects(1);
            assert_eq!(upstream.open_connections(), 0);
        }
    }
}

#[test]
fn a_body_that_stops_short_is_never_complete() {
    let upstream = MockUpstream::builder().start();
    let mut client = Client::connect(upstream.addr());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n{}");
    upstream.wait_for_body_len(0, 2);
    client.shutdown_write();
    let request = upstream.wait_for_cancel(0);
    assert!(!request.complete && !request.answered && request.malformed.is_none());
    assert_eq!(client.read_to_close(), (Vec::new(), End::Clean));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let replies = vec![
        Reply::bytes(200, "a/b", "1"),
        Reply::bytes(200, "a/b", "2").framing(Framing::Chunked),
    ];
    let upstream = MockUpstream::h1(replies);
    let mut client = Client::connect(upstream.addr());
    let one = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    client.send(format!("{one}HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.read_answer().text(), "1");
    assert_eq!(
        client.read_head().header("transfer-encoding"),
        Some("chunked")
    );
    client.post("/", &[], "x");
    let requests = upstream.wait_for_requests(3);
    assert_eq!(upstream.connections(), 1);
    assert_eq!(
        (requests[0].text().as_str(), requests[1].method.as_str()),
        ("abc", "HEAD")
    );
    assert_eq!(requests[0].trailers, [("X-T".to_owned(), b"1".to_vec())]);
    upstream.assert_well_formed();
}

#[test]
fn malformed_requests_are_recorded_as_such() {
    for (bytes, word) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "2 Content-Length",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "both",
        ),
        ("POST / HTTP/1.1\nHost: a\n\n", "bare LF"),
        ("POST / HTTP/1.1\r\nHost: a\r\nX: \rb\r\n\r\n", ""),
        ("garbage\r\n\r\n", ""),
    ] {
        let upstream = MockUpstream::builder().start();
        let mut client = Client::connect(upstream.addr());
        client.send(bytes);
        assert_eq!(client.read_answer().status, 400, "{bytes:?}");
        let why = upstream.requests()[0].malformed.clone().expect(bytes);
        assert!(why.contains(word), "{bytes:?}: {why}");
    }
    let upstream = MockUpstream::builder().start();
    let mut client = Client::connect(upstream.addr());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_eq!(client.read_to_close().1, End::Clean);
    assert!(
        upstream.requests()[0]
            .malformed
            .as_deref()
            .expect("malformed")
            .contains("chunk size")
    );
}

#[test]
fn bodies_can_be_discarded_or_held_back() {
    let gate = Gate::new();
    let upstream = MockUpstream::builder()
        .discard_body()
        .hold_body(&gate)
        .start();
    let mut client = Client::connect(upstream.addr());
    let body = vec![b'x'; 100_000];
    client.post(PATH, &[], &body);
    gate.wait_reached();
    assert_eq!(upstream.requests()[0].body_len, 0);
    gate.release();
    assert_eq!(client.read_answer().status, 200);
    let request = upstream.wait_for_complete(0);
    assert!(request.body.is_empty());
    assert_eq!(
        (request.body_len, request.body_hash),
        (100_000, body_hash(&body))
    );
}

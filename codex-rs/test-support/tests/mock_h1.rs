//! The mock upstream and the raw client against each other, over HTTP/1.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::io::{Read, Write};

use codex_test_support::{
    Client, CutKind, End, Framing, Gate, MockUpstream, OnAccept, RefusedPort, Reply, Step,
    body_hash,
};
use serde_json::json;

const PATH: &str = "/v1/responses";

fn ask(upstream: &MockUpstream) -> Client {
    let mut client = Client::connect(upstream.addr()).without_scan();
    client.post(PATH, &[], "{}");
    client
}

#[test]
fn every_framing_arrives_whole() {
    for framing in [
        Framing::ContentLength,
        Framing::Chunked,
        Framing::CloseDelimited,
    ] {
        let reply = Reply::bytes(201, "text/plain", "Hello")
            .data(", world")
            .framing(framing);
        let upstream = MockUpstream::h1(reply.header("X-A", "1").header("X-A", "2").reason("Sure"));
        let answer = ask(&upstream).read_answer();
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (201, "Sure"),
            "{framing:?}"
        );
        assert_eq!(answer.text(), "Hello, world", "{framing:?}");
        assert_eq!(answer.end, End::Clean, "{framing:?}");
        assert_eq!(answer.header_all("x-a"), [b"1", b"2"]);
        let request = upstream.wait_for_answered(0);
        assert!(request.complete && !request.cancelled, "{request:?}");
        assert_eq!(request.text(), "{}");
    }
}

#[test]
fn a_cut_at_every_offset_is_seen_as_one() {
    let body = "0123456789";
    for kind in [CutKind::Fin, CutKind::Reset, CutKind::TlsTruncate] {
        for framing in [
            Framing::ContentLength,
            Framing::Chunked,
            Framing::CloseDelimited,
        ] {
            for n in 0..body.len() {
                let reply = Reply::bytes(200, "text/plain", body)
                    .framing(framing)
                    .chunk_size(4)
                    .cut_after(n as u64, kind);
                let upstream = MockUpstream::h1(reply);
                let answer = ask(&upstream).read_answer();
                let case = format!("{kind:?} {framing:?} {n}");
                assert_eq!(answer.text(), body[..n], "{case}");
                // Only a reset tells a cut close-delimited body from a whole one.
                let clean = framing == Framing::CloseDelimited && kind != CutKind::Reset;
                assert_eq!(
                    answer.end,
                    if clean { End::Clean } else { End::Cut },
                    "{case}"
                );
                assert!(!upstream.wait_for_answered(0).cancelled, "{case}");
            }
        }
    }
}

#[test]
fn a_chunked_body_cut_at_its_full_length_is_not_whole() {
    let reply = Reply::bytes(200, "text/plain", "12345").framing(Framing::Chunked);
    let upstream = MockUpstream::h1(reply.cut_after(5, CutKind::Fin));
    let answer = ask(&upstream).read_answer();
    assert_eq!((answer.text().as_str(), answer.end), ("12345", End::Cut));
}

#[test]
fn a_gate_holds_the_rest_back() {
    let (head, rest) = (Gate::new(), Gate::new());
    let reply = Reply::event_stream()
        .data("one")
        .hold(&rest)
        .data("two")
        .hold_head(&head);
    let upstream = MockUpstream::h1(reply);
    let mut client = ask(&upstream);
    head.wait_reached();
    head.release();
    client.read_head();
    client.wait_for_body("one");
    rest.wait_reached();
    assert!(!upstream.requests()[0].answered);
    rest.release();
    assert_eq!(client.wait_for_body("two"), b"onetwo");
    assert_eq!(client.read_body_some(), None);
    assert_eq!(client.end(), Some(End::Clean));
}

#[test]
fn an_early_answer_comes_before_the_body() {
    let upstream = MockUpstream::h1(Reply::json(413, &json!({})).early());
    let mut client = Client::connect(upstream.addr());
    client.send("POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    assert_eq!(client.read_answer().status, 413);
    assert!(!upstream.wait_for_body_len(0, 2).complete);
    client.send("345");
    assert_eq!(upstream.wait_for_complete(0).text(), "12345");
}

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

#[test]
fn interim_answers_trailers_and_bodiless_statuses() {
    let reply = Reply::bytes(200, "a/b", "x")
        .framing(Framing::Chunked)
        .interim(103, &[("link", "</a>")])
        .trailers(&[("x-sum", "7")]);
    let upstream = MockUpstream::h1(vec![reply, Reply::new(204), Reply::new(304)]);
    let mut client = ask(&upstream);
    let answer = client.read_answer();
    assert_eq!(answer.interim[0].status, 103);
    assert_eq!(answer.trailers, [("x-sum".to_owned(), b"7".to_vec())]);
    for status in [204, 304] {
        client.post(PATH, &[], "");
        let answer = client.read_answer();
        assert_eq!((answer.status, answer.end), (status, End::Clean));
    }
}

#[test]
fn raw_bytes_and_ends_without_an_answer() {
    let upstream = MockUpstream::h1(Reply::raw("SSH-2.0-x\r\n", true));
    assert_eq!(
        ask(&upstream).read_to_close(),
        (b"SSH-2.0-x\r\n".to_vec(), End::Clean)
    );
    let upstream = MockUpstream::h1(Reply::close_before_head());
    assert_eq!(ask(&upstream).try_read_answer(), None);
    let upstream = MockUpstream::h1(Reply::cut_before_head(CutKind::Reset));
    assert_eq!(ask(&upstream).read_to_close(), (Vec::new(), End::Cut));
    let upstream = MockUpstream::builder()
        .on_accept(OnAccept::Close(CutKind::Reset))
        .start();
    assert_eq!(Client::connect(upstream.addr()).read_to_close().1, End::Cut);
    let refused = RefusedPort::new();
    assert!(std::net::TcpStream::connect(refused.addr()).is_err());
}

#[test]
fn echo_and_responses_depend_on_the_request() {
    let upstream = MockUpstream::h1(vec![
        Reply::echo(),
        Reply::responses("a b"),
        Reply::responses("a b"),
    ]);
    let mut client = Client::connect(upstream.addr());
    let echo = client
        .post("/v1/responses?q", &[("X-Y", "z")], "12345")
        .read_answer()
        .json();
    assert_eq!(
        (&echo["target"], &echo["body_len"]),
        (&json!("/v1/responses?q"), &json!(5))
    );
    assert!(
        echo["headers"]
            .as_array()
            .expect("headers")
            .contains(&json!(["X-Y", "z"]))
    );
    let whole = client.post(PATH, &[], "{}").read_answer().json();
    assert_eq!(whole["output"][0]["content"][0]["text"], "a b");
    let stream = client.post(PATH, &[], r#"{"stream":true}"#).read_answer();
    assert_eq!(
        stream.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(
        stream
            .text()
            .matches("event: response.output_text.delta\n")
            .count(),
        2
    );
    assert!(stream.text().contains("event: response.completed\n"));
}

#[test]
fn a_panic_of_a_handler_reaches_the_test() {
    let upstream = MockUpstream::builder()
        .handler(|_| panic!("as planned"))
        .start();
    assert_eq!(ask(&upstream).try_read_answer(), None);
    let waiting = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        upstream.wait_for_answered(0)
    }));
    let dropping = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(upstream)));
    for outcome in [waiting.map(drop), dropping] {
        let panic = outcome.expect_err("a panic");
        assert!(
            panic
                .downcast_ref::<String>()
                .expect("text")
                .contains("as planned")
        );
    }
}

#[test]
fn a_leaked_key_panics_the_client() {
    let key = codex_test_support::TEST_KEY;
    let (one, two) = key.split_at(20);
    let reply = Reply::event_stream()
        .data(one.to_owned())
        .step(Step::Data(two.to_owned().into()));
    let upstream = MockUpstream::h1(reply);
    let mut client = Client::connect(upstream.addr());
    client.post(PATH, &[], "{}");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.read_answer()));
    assert!(
        outcome
            .expect_err("a leak")
            .downcast_ref::<String>()
            .expect("text")
            .contains("LEAKED")
    );
}

#[test]
fn dropping_the_mock_ends_its_connections() {
    let upstream = MockUpstream::h1(Reply::silence());
    let mut stream = std::net::TcpStream::connect(upstream.addr()).expect("connected");
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .expect("sent");
    upstream.wait_for_complete(0);
    drop(upstream);
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}

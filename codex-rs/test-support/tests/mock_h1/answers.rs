//! Scripted answers as a client sees them.

use codex_test_support::{
    Client, CutKind, End, Framing, Gate, MockUpstream, OnAccept, RefusedPort, Reply,
};
use serde_json::json;

use crate::{PATH, ask};

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

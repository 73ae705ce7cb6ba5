//! What a request says of itself decides, and only a whole request that is allowed goes up.

use std::io::Write as _;

use codex_test_support::{MockUpstream, Reply, assert_openai_error};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::{limited, post, upstream};
use crate::RESPONSES;

const RULES: &str = r#"
[everyone]
models = ["gpt-5*", "o4-mini"]
max_output_tokens = 32000
service_tiers = ["default", "auto"]
tools = ["function", "custom"]
background = false
previous_response_id = false
store = false
"#;

#[test]
fn what_the_policy_does_not_allow_is_refused_once_and_for_all() {
    let upstream = upstream();
    let limited = limited(&upstream, RULES, &[]);
    let allowed = json!({
        "model": "gpt-5.2", "store": false, "input": "hi", "max_output_tokens": 32_000,
        "tools": [{ "type": "function", "name": "f" }], "service_tier": "auto",
    });
    assert_eq!(limited.ask(&allowed).status, 200);
    for (member, value, code) in [
        ("model", json!("gpt-4.1"), "model_not_allowed"),
        ("model", json!(null), "request_not_allowed"),
        ("model", json!(7), "request_not_allowed"),
        ("max_output_tokens", json!(32_001), "request_not_allowed"),
        ("service_tier", json!("priority"), "request_not_allowed"),
        (
            "tools",
            json!([{ "type": "web_search" }]),
            "request_not_allowed",
        ),
        ("background", json!(true), "request_not_allowed"),
        (
            "previous_response_id",
            json!("resp_1"),
            "request_not_allowed",
        ),
        ("store", json!(true), "request_not_allowed"),
        ("store", json!(null), "request_not_allowed"),
    ] {
        let mut body = allowed.clone();
        body[member] = value;
        let answer = limited.ask(&body);
        assert_openai_error(&answer, 400, code);
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{body}");
    }
    let complete = upstream
        .requests()
        .iter()
        .filter(|sent| sent.complete)
        .count();
    assert_eq!(complete, 1);
}

#[test]
fn a_body_that_can_be_read_in_two_ways_is_refused() {
    let upstream = upstream();
    let limited = limited(&upstream, RULES, &[]);
    let padding = "x".repeat(200_000);
    for body in [
        r#"{"model":"gpt-5.2","store":false,"model":"gpt-4.1"}"#.to_owned(),
        r#"{"mod\u0065l":"gpt-4.1","store":false,"model":"gpt-5.2"}"#.to_owned(),
        "\u{feff}{\"model\":\"gpt-5.2\",\"store\":false}".to_owned(),
        r#"{"model":"gpt-5.2","store":false}}"#.to_owned(),
        r#"{"model":"gpt-5.2","store":false"#.to_owned(),
        format!(r#"{{"model":"gpt-5.2","store":false,"input":"{padding}","model":"gpt-4.1"}}"#),
        String::new(),
    ] {
        let answer = post(&limited.proxy, &body);
        assert_openai_error(&answer, 400, "request_not_allowed");
    }
    assert!(upstream.requests().iter().all(|sent| !sent.complete));
}

#[test]
fn a_compressed_body_is_looked_into_and_passed_on_as_it_came() {
    let upstream = MockUpstream::h1(Reply::json(200, &super::response(1, 0, 1)));
    let limited = limited(&upstream, RULES, &["--max-body", "1MiB"]);
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let post = |coding: &str, body: &[u8]| {
        let fields = [
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        limited
            .proxy
            .client()
            .post(RESPONSES, &fields, body)
            .read_answer()
    };
    let bad = gzip(br#"{"model":"gpt-4.1","store":false}"#);
    assert_openai_error(&post("gzip", &bad), 400, "model_not_allowed");
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert_openai_error(&post("gzip", &bomb), 400, "request_not_allowed");
    let numbers: String = (0..400_000_u32).map(|number| number.to_string()).collect();
    let large = gzip(format!("{{\"input\":\"{numbers}\"}}").as_bytes());
    assert_openai_error(&post("gzip", &large), 413, "body_too_large");
    for coding in ["br", "deflate", "gzip, gzip"] {
        let answer = post(coding, b"{}");
        assert_openai_error(&answer, 415, "content_encoding_not_supported");
    }
    let good = gzip(br#"{"model":"gpt-5.2","store":false}"#);
    assert_eq!(post("gzip", &good).status, 200);
    let sent = upstream.requests();
    let sent: Vec<_> = sent.iter().filter(|sent| sent.complete).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body, good);
    assert_eq!(sent[0].header("content-encoding"), Some("gzip"));
}

#[test]
fn a_large_body_in_pieces_goes_up_as_it_came() {
    let upstream = upstream();
    let limited = limited(&upstream, RULES, &[]);
    let text = "long".repeat(100_000);
    let body =
        json!({ "input": text, "store": false, "model": "gpt-5.2", "metadata": { "output": 1 } });
    let body = body.to_string();
    let mut client = limited.proxy.client();
    client.send(
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
    );
    for piece in body.as_bytes().chunks(9_973) {
        client
            .send(format!("{:x}\r\n", piece.len()))
            .send(piece)
            .send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_answer().status, 200);
    assert_eq!(upstream.wait_for_complete(0).text(), body);
}

#[test]
fn an_answer_to_a_request_that_is_not_whole_is_not_passed_on() {
    let upstream = MockUpstream::builder()
        .on_head(|_| Some(Reply::json(200, &super::response(1, 0, 1)).early()))
        .start();
    let limited = limited(&upstream, RULES, &[]);
    let mut client = limited.proxy.client();
    let padding = " ".repeat(100_000);
    client.send(format!(
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 1000000\r\n\r\n{{\"model\":\"gpt-4.1\",\"input\":\"{padding}"
    ));
    assert_openai_error(&client.read_answer(), 502, "upstream_protocol");
}

#[test]
fn a_body_that_may_be_read_as_something_else_is_refused() {
    let upstream = upstream();
    let limited = limited(&upstream, RULES, &[]);
    let body = r#"{"model":"gpt-5.2","store":false}"#;
    for (kind, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ("application/json; charset=utf-7", 400),
        ("application/x-www-form-urlencoded", 400),
        ("text/plain", 400),
    ] {
        let fields = [("content-type", kind)];
        let answer = limited
            .proxy
            .client()
            .post(RESPONSES, &fields, body)
            .read_answer();
        assert_eq!(answer.status, status, "{kind}: {}", answer.text());
    }
}

//! What is charged for answers that were cut or left before they said what they used.

use std::time::Instant;

use codex_test_support::{
    CutKind, Framing, Gate, MockUpstream, Reply, WAIT_TIMEOUT, assert_openai_error,
};
use serde_json::json;

use super::charges::{TOKENS, spent_and_held};
use super::{Limited, completed, deltas, limited, request};
use crate::RESPONSES;

const METRICS: &[&str] = &["--metrics", "127.0.0.1:0"];

/// What is spent once nothing is held any more.
fn spent_in_the_end(limited: &Limited) -> f64 {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        let (spent, held) = spent_and_held(limited);
        if held == 0.0 && spent > 0.0 {
            return spent;
        }
        assert!(Instant::now() < deadline, "{spent} spent, {held} held");
    }
}

/// All of it was made, and is billed, when its first byte comes: whoever leaves then has the output.
#[test]
fn a_document_that_is_left_before_its_usage_is_charged_for_its_output() {
    const OUTPUT: usize = 400_000;
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = MockUpstream::h1(Reply::made(move |_| {
        let begun = format!("{{\"output\":\"{}\",", "x".repeat(OUTPUT));
        let reply = Reply::bytes(200, "application/json", begun).framing(Framing::Chunked);
        reply.hold(&held).data("\"usage\":null}")
    }));
    let limited = limited(&upstream, TOKENS, METRICS);
    let mut client = limited.proxy.client();
    client.post(RESPONSES, &[], request(1_000, 0).to_string());
    client.read_head();
    let mut read = 0;
    while read < OUTPUT {
        read += client.read_body_some().unwrap().len();
    }
    drop(client);
    let spent = spent_in_the_end(&limited);
    assert!((100_000.0..=103_000.0).contains(&spent), "{spent}");
    gate.release();
}

#[test]
fn in_strict_mode_an_answer_that_does_not_say_what_it_used_is_charged_all_that_was_reserved() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = MockUpstream::h1(Reply::made(move |_| {
        Reply::event_stream().data(deltas(1)).hold(&held)
    }));
    let strict = [METRICS, &["--budget-mode", "strict"]].concat();
    let limited = limited(&upstream, TOKENS, &strict);
    let mut body = request(1_000, 0);
    body["stream"] = true.into();
    body["max_output_tokens"] = 50_000.into();
    let text = body.to_string();
    let mut client = limited.proxy.client();
    client.post(RESPONSES, &[], &text);
    client.read_head();
    client.wait_for_body("word");
    drop(client);
    let reserved = (text.len() + 50_000) as f64;
    assert_eq!(spent_in_the_end(&limited), reserved);
    gate.release();
}

#[test]
fn the_most_that_a_request_may_cost_includes_what_is_written_to_the_cache() {
    let upstream = MockUpstream::h1(Reply::made(|request| {
        let input = request.body.len();
        let mut response = super::response(0, 0, 1);
        response["model"] = "m".into();
        response["usage"]["input_tokens"] = input.into();
        response["usage"]["input_tokens_details"] = json!({ "cache_write_tokens": input });
        Reply::json(200, &response)
    }));
    let policy = "[everyone]\n[[everyone.limits]]\nusd = 12\nper = \"day\"\n\
                  [prices.\"m\"]\ninput = 1000.0\ncache_write = 1250.0\noutput = 1.0\n";
    let limited = limited(&upstream, policy, &["--budget-mode", "strict"]);
    let mut body = json!({ "model": "m", "max_output_tokens": 1, "service_tier": "default" });
    body["input"] = "x".repeat(10_000 - body.to_string().len() - 11).into();
    assert_eq!(body.to_string().len(), 10_000);
    assert_openai_error(&limited.ask(&body), 400, "budget_exceeded");
    body["input"] = "x".repeat(9_000).into();
    let answer = limited.ask(&body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Two turns of reasoning with little to show for it do not say that a long answer was reasoning too.
#[test]
fn a_stream_that_is_cut_is_not_charged_for_what_others_have_reasoned() {
    let upstream = MockUpstream::h1(Reply::made(move |request| {
        if request.body_json()["metadata"]["how"] == "cut" {
            Reply::event_stream().data(deltas(2_000)).cut(CutKind::Fin)
        } else {
            let reply = Reply::event_stream().data(deltas(10));
            reply.data(completed(1_000, 0, 3_000))
        }
    }));
    let limited = limited(&upstream, TOKENS, METRICS);
    let mut body = request(1_000, 0);
    body["stream"] = true.into();
    for _ in 0..2 {
        assert_eq!(limited.ask(&body).status, 200);
    }
    assert_eq!(spent_in_the_end(&limited), 8_000.0);
    body["metadata"]["how"] = "cut".into();
    limited.ask(&body);
    let charged = spent_in_the_end(&limited) - 8_000.0;
    assert!((3_000.0..=4_000.0).contains(&charged), "{charged}");
}

#[test]
fn an_error_that_comes_before_the_request_is_whole_costs_no_tokens() {
    let upstream = MockUpstream::builder()
        .on_head(|_| {
            let error = json!({ "error": { "message": "slow down" } });
            Some(Reply::json(429, &error).framing(Framing::ContentLength))
        })
        .start();
    let policy = TOKENS.to_owned() + "[[everyone.limits]]\nrequests = 2\nper = \"day\"\n";
    let limited = limited(&upstream, &policy, METRICS);
    let body = request(85_000, 0).to_string();
    let (first, rest) = body.split_at(body.len() / 2);
    for number in 0..2 {
        let mut client = limited.proxy.client();
        client.send(format!(
            "POST {RESPONSES} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{first}",
            body.len()
        ));
        assert_eq!(client.read_answer().status, 429);
        client.send(rest);
        upstream.wait_for_complete(number);
        // The next request on the connection is read behind that body.
        let answer = client.get("/").read_answer();
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    let refused = limited.ask(&request(1, 0));
    assert_openai_error(&refused, 400, "budget_exceeded");
    let expected = "2 of 2 requests";
    assert!(refused.text().contains(expected), "{}", refused.text());
    assert_eq!(spent_and_held(&limited), (0.0, 0.0));
}

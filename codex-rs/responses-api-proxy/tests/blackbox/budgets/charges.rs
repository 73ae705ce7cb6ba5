//! What is charged: what the answer says it used, and an estimate of one that does not say.

use std::time::Instant;

use codex_test_support::{
    CutKind, Framing, Gate, MockUpstream, Reply, WAIT_TIMEOUT, assert_openai_error,
};
use serde_json::json;

use super::{completed, deltas, limited, request, stream, upstream};
use crate::RESPONSES;
use crate::metrics::{place, scrape, value};

pub(super) const TOKENS: &str =
    "[everyone]\n[[everyone.limits]]\ntokens = 1000000\nper = \"day\"\n";

/// What is spent and what is held, of a limit in tokens.
pub(super) fn spent_and_held(limited: &super::Limited) -> (f64, f64) {
    let text = scrape(place(&limited.proxy));
    let of = |name| {
        value(
            &text,
            name,
            &[("account", "everyone"), ("unit", "tokens"), ("per", "day")],
        )
    };
    assert_eq!(of("codex_proxy_budget_limit"), 1_000_000.0);
    (
        of("codex_proxy_budget_spent"),
        of("codex_proxy_budget_held"),
    )
}

#[test]
fn a_stream_is_charged_before_its_caller_can_ask_again() {
    for framing in [Framing::Chunked, Framing::ContentLength] {
        let upstream = MockUpstream::h1(Reply::made(move |request| {
            match request.body_json()["stream"] == true {
                true => stream(1_000, 900, 50).framing(framing),
                false => Reply::json(200, &super::response(1_000, 900, 50)).framing(framing),
            }
        }));
        let policy = "[everyone]\n[[everyone.limits]]\ntokens = 5250\nper = \"day\"\n";
        for stream in [true, false] {
            let limited = limited(&upstream, policy, &[]);
            for _ in 0..5 {
                let answer = limited.ask(&json!({ "model": "gpt-5.2", "stream": stream }));
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            let refused = limited.ask(&json!({ "model": "gpt-5.2", "stream": stream }));
            assert_openai_error(&refused, 400, "budget_exceeded");
            let expected = "5,250 of 5,250 tokens";
            assert!(refused.text().contains(expected), "{}", refused.text());
        }
    }
}

/// Charged within 15 % of what it has cost, once a few that were whole have shown what that is.
#[test]
fn a_stream_that_is_cut_or_left_is_charged_what_it_came_to() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = MockUpstream::h1(Reply::made(move |request| {
        let asked = request.body_json();
        let part = || Reply::event_stream().data(deltas(400));
        match asked["metadata"]["how"].as_str() {
            Some("cut") => part().cut(CutKind::Fin),
            Some("left") => part().hold(&held),
            _ => stream(1_000, 0, 500),
        }
    }));
    let limited = limited(&upstream, TOKENS, &["--metrics", "127.0.0.1:0"]);
    let body = |how: &str| {
        let mut body = request(1_000, 0);
        body["stream"] = true.into();
        body["metadata"] = json!({ "how": how });
        body
    };
    for _ in 0..10 {
        assert_eq!(limited.ask(&body("")).status, 200);
    }
    assert_eq!(spent_and_held(&limited), (15_000.0, 0.0));
    let truth = 1_400.0;
    for how in ["cut", "left"] {
        let (before, _) = spent_and_held(&limited);
        let mut client = limited.proxy.client();
        client.post(RESPONSES, &[], body(how).to_string());
        client.read_head();
        let mut text = String::new();
        while text.matches("event:").count() < 400 {
            text += &String::from_utf8_lossy(&client.read_body_some().unwrap());
        }
        drop(client);
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let charged = loop {
            let (spent, held) = spent_and_held(&limited);
            if held == 0.0 {
                break spent - before;
            }
            assert!(Instant::now() < deadline, "{how}: {held} is held");
        };
        assert!((charged - truth).abs() <= truth * 0.15, "{how}: {charged}");
    }
    gate.release();
}

#[test]
fn an_error_of_the_upstream_costs_a_request_and_no_tokens() {
    let upstream = MockUpstream::h1(Reply::json(
        429,
        &json!({ "error": { "message": "slow down" } }),
    ));
    let policy = "[everyone]\n[[everyone.limits]]\ntokens = 2000\nper = \"day\"\n\
                  [[everyone.limits]]\nrequests = 3\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &[]);
    for _ in 0..3 {
        assert_eq!(limited.ask(&request(300, 1)).status, 429);
    }
    let refused = limited.ask(&request(300, 1));
    assert_openai_error(&refused, 400, "budget_exceeded");
    assert!(
        refused.text().contains("3 of 3 requests"),
        "{}",
        refused.text()
    );
}

#[test]
fn a_stream_that_passes_the_limit_is_ended() {
    let upstream = MockUpstream::h1(Reply::made(|_| {
        Reply::event_stream()
            .data(deltas(50_000))
            .data(completed(100, 0, 50_000))
    }));
    let policy = "[everyone]\n[[everyone.limits]]\ntokens = 10000\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &[]);
    let mut body = request(100, 0);
    body["stream"] = true.into();
    let answer = limited.ask(&body);
    assert_eq!(
        (answer.status, answer.end),
        (200, codex_test_support::End::Cut)
    );
    let got = answer.text().matches("event:").count();
    assert!((9_000..=11_500).contains(&got), "{got}");
    assert_openai_error(&limited.ask(&body), 400, "budget_exceeded");
}

#[test]
fn a_model_without_a_price_is_refused_under_a_limit_in_dollars() {
    let upstream = upstream();
    let policy = "[everyone]\n[[everyone.limits]]\nusd = 1\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &[]);
    let mut body = request(100, 1);
    assert_eq!(limited.ask(&body).status, 200);
    body["model"] = "my-model".into();
    let answer = limited.ask(&body);
    assert_openai_error(&answer, 400, "price_unknown");
    assert!(
        answer.text().contains("[prices.\\\"my-model\\\"]"),
        "{}",
        answer.text()
    );
    let mut body = request(100, 1);
    body["service_tier"] = "golden".into();
    assert_openai_error(&limited.ask(&body), 400, "price_unknown");
}

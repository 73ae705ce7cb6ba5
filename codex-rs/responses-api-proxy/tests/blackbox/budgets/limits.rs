//! A limit stops before the money is gone, and keeps nobody out before.

use std::sync::Barrier;
use std::thread;

use codex_test_support::{Answer, Gate, MockUpstream, Reply, assert_openai_error};
use serde_json::json;

use super::{limited, request, upstream};
use crate::RESPONSES;

#[test]
fn a_spent_limit_says_what_is_spent_of_what_and_until_when() {
    let upstream = upstream();
    let policy = "[everyone]\n[[everyone.limits]]\ntokens = 1000\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &[]);
    let first = limited.ask(&request(700, 100));
    assert_eq!(first.status, 200);
    assert!(first.header("x-codex-budget-remaining-tokens").is_some());
    limited
        .proxy
        .wait_for_stderr("budget: 80 % spent: everyone has spent 800 of 1,000 tokens for today");
    assert_eq!(limited.ask(&request(100, 100)).status, 200);
    limited.proxy.wait_for_stderr("budget: 95 % spent");
    let refused = limited.ask(&request(1, 1));
    assert_openai_error(&refused, 400, "budget_exceeded");
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let message = refused.json()["error"]["message"].to_string();
    assert!(
        message.contains("1,000 of 1,000 tokens for today (resets 00:00 UTC)"),
        "{message}"
    );
}

#[test]
fn a_rate_is_refused_until_the_next_minute() {
    let upstream = upstream();
    let policy = "[everyone]\n[[everyone.limits]]\nrequests = 2\nper = \"45s\"\n";
    let limited = limited(&upstream, policy, &[]);
    for _ in 0..2 {
        assert_eq!(limited.ask(&request(10, 1)).status, 200);
    }
    let refused = limited.ask(&request(10, 1));
    assert_openai_error(&refused, 429, "rate_limited");
    assert_eq!(refused.header("x-should-retry"), Some("true"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=47).contains(&wait), "{wait}");
}

/// A hundred at once, of which each costs a twentieth of what is left.
fn a_hundred_at_once(mode: &str) -> (u64, Vec<Answer>) {
    let upstream = upstream();
    let policy = "[total]\n[[total.limits]]\ntokens = 40000\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &["--budget-mode", mode]);
    let mut body = request(900, 100);
    body["max_output_tokens"] = 100.into();
    for _ in 0..20 {
        assert_eq!(limited.ask(&body).status, 200);
    }
    let (barrier, text) = (Barrier::new(100), body.to_string());
    let answers: Vec<Answer> = thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            super::post(&limited.proxy, &text)
        };
        let asking: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let spent = 20_000 + 1_000 * u64::try_from(served).unwrap();
    (spent, answers)
}

#[test]
fn a_hundred_at_the_edge_of_a_limit_do_not_pass_it() {
    let (spent, answers) = a_hundred_at_once("expected");
    // What is expected is learned from the twenty before, and has nothing to spare.
    assert!((36_000..=41_000).contains(&spent), "{spent}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert!(matches!(answer.status, 400 | 429), "{}", answer.text());
    }
}

#[test]
fn in_strict_mode_a_limit_is_never_passed() {
    let upstream = upstream();
    let policy = "[total]\n[[total.limits]]\ntokens = 40000\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &["--budget-mode", "strict"]);
    let answer = limited.ask(&request(100, 100));
    assert_openai_error(&answer, 400, "request_not_allowed");
    let mut body = request(300, 50);
    body["max_output_tokens"] = 50.into();
    let (barrier, text) = (Barrier::new(100), body.to_string());
    let served: u64 = thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            u64::from(super::post(&limited.proxy, &text).status == 200)
        };
        let asking: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert!(served > 0 && served * 350 <= 40_000, "{served}");
}

#[test]
fn an_honest_agent_is_not_kept_out_by_what_is_expected_of_it() {
    let upstream = upstream();
    let policy = "[everyone]\n[[everyone.limits]]\nusd = 1.0\nper = \"day\"\n\
                  [prices.\"gpt-5.2\"]\ninput = 1.0\ncached_input = 0.1\noutput = 10.0\n";
    let limited = limited(&upstream, policy, &[]);
    let mut spent = 0.0;
    let mut refused = 0;
    for turn in 0..1_000_u32 {
        let input = 5_000 + u64::from(turn % 100) * 300;
        let (cached, output) = (input * 9 / 10, 50 + u64::from(turn * 37 % 400));
        let mut body = request(input, output);
        body["metadata"]["cached"] = cached.into();
        let cost = ((input - cached) as f64 + cached as f64 * 0.1 + output as f64 * 10.0) / 1e6;
        let answer = limited.ask(&body);
        match answer.status {
            200 => spent += cost,
            400 => {
                assert!(
                    spent + cost > 0.9,
                    "turn {turn}: {spent} and {cost}: {}",
                    answer.text()
                );
                refused += 1;
                break;
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
    assert!(refused == 1 && (0.9..1.05).contains(&spent), "{spent}");
}

#[test]
fn so_many_requests_are_in_flight_and_half_of_one_is_none() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = MockUpstream::h1(Reply::made(move |request| {
        match request.body_json()["metadata"]["wait"] == true {
            true => Reply::event_stream().data(super::deltas(1)).hold(&held),
            false => Reply::json(200, &super::response(1, 0, 1)),
        }
    }));
    for policy in ["[everyone]\nconcurrent = 1\n", "[total]\nconcurrent = 1\n"] {
        let limited = limited(&upstream, policy, &[]);
        let mut halves: Vec<_> = (0..5).map(|_| limited.proxy.client()).collect();
        for half in &mut halves {
            half.send(
                "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 content-length: 100\r\n\r\n{",
            );
        }
        assert_eq!(limited.ask(&request(10, 1)).status, 200);
        let mut waiting = limited.proxy.client();
        let body = json!({ "model": "gpt-5.2", "stream": true, "metadata": { "wait": true } });
        waiting.post(RESPONSES, &[], body.to_string());
        waiting.read_head();
        let refused = limited.ask(&request(10, 1));
        assert_openai_error(&refused, 429, "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(
            refused.text().contains("may have 1 request in flight"),
            "{}",
            refused.text()
        );
    }
    gate.release();
}

//! Each caller is charged to its own account.

use std::fs;

use codex_test_support::{Answer, Gate, MockUpstream, Reply, assert_openai_error};
use serde_json::json;

use super::{deltas, limited, request, stream, upstream};
use crate::callers::curl_as_other;
use crate::client_tokens::sha256;
use crate::custody::{is_root, skipped};
use crate::records::records;
use crate::{RESPONSES, lifecycle};

fn with_token(limited: &super::Limited, token: &str, body: &serde_json::Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let fields = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    limited
        .proxy
        .client()
        .post(RESPONSES, &fields, body.to_string())
        .read_answer()
}

#[test]
fn a_token_has_its_own_account_and_others_have_that_of_everyone() {
    let (Some(ci), Some(dev)) = (sha256("ci-token"), sha256("dev-token")) else {
        return skipped("sha256sum is not installed");
    };
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    fs::write(&tokens, format!("ci:{ci}\ndev:{dev}\n")).unwrap();
    let policy = "[everyone]\n[[everyone.limits]]\nrequests = 1\nper = \"day\"\n\
                  [token.ci]\n[[token.ci.limits]]\nrequests = 2\nper = \"day\"\n";
    let (tokens, log) = (tokens.to_str().unwrap(), dir.path().join("access.log"));
    let args = ["--client-token-file", tokens, "--access-log"];
    let limited = limited(
        &upstream,
        policy,
        &[&args[..], &[log.to_str().unwrap()]].concat(),
    );
    let body = request(10, 1);
    for _ in 0..2 {
        assert_eq!(with_token(&limited, "ci-token", &body).status, 200);
    }
    assert_eq!(with_token(&limited, "dev-token", &body).status, 200);
    for (token, who) in [
        ("ci-token", "ci has spent 2 of 2 requests"),
        ("dev-token", "dev has spent 1 of 1 request"),
    ] {
        let refused = with_token(&limited, token, &body);
        assert_openai_error(&refused, 400, "budget_exceeded");
        let who = who.replace("dev has", "everyone has");
        assert!(refused.text().contains(&who), "{}", refused.text());
    }
    let callers: Vec<String> = records(&log, 5)
        .iter()
        .map(|record| record["caller.token"].to_string())
        .collect();
    assert_eq!(
        callers,
        ["ci", "ci", "dev", "ci", "dev"].map(|name| format!("\"{name}\""))
    );
}

#[test]
fn each_user_is_charged_to_its_own_account() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = upstream();
    let policy =
        "[everyone]\neach_caller = true\n[[everyone.limits]]\nrequests = 1\nper = \"day\"\n";
    let limited = limited(&upstream, policy, &[]);
    let body = request(10, 1);
    assert_eq!(limited.ask(&body).status, 200);
    let refused = limited.ask(&body);
    assert_openai_error(&refused, 400, "budget_exceeded");
    assert!(
        refused.text().contains("root has spent"),
        "{}",
        refused.text()
    );
    for expected in ["200", "400"] {
        // Why there is none was said.
        let Some(status) = curl_as_other(&limited.proxy, &body.to_string()) else {
            return;
        };
        assert_eq!(status, expected);
    }
}

#[test]
fn a_policy_that_is_read_again_is_for_what_comes_and_not_for_what_runs() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = MockUpstream::h1(Reply::made(move |request| {
        match request.body_json()["stream"] == true {
            true => Reply::event_stream()
                .data(deltas(5))
                .hold(&held)
                .data(deltas(5)),
            false => stream(10, 0, 1),
        }
    }));
    let limited = limited(&upstream, "[everyone]\nmodels = [\"gpt-5*\"]\n", &[]);
    let mut running = limited.proxy.client();
    running.post(
        RESPONSES,
        &[],
        json!({ "model": "gpt-5.2", "stream": true }).to_string(),
    );
    running.read_head();
    running.wait_for_body("delta");
    fs::write(&limited.policy, "[everyone]\nmodels = [\"o4-*\"]\n").unwrap();
    limited.proxy.signal(lifecycle::signal("HUP"));
    limited.proxy.wait_for_stderr("policy read again");
    let refused = limited.ask(&json!({ "model": "gpt-5.2" }));
    assert_openai_error(&refused, 400, "model_not_allowed");
    assert!(
        refused.text().contains("allowed: o4-*"),
        "{}",
        refused.text()
    );
    assert_eq!(limited.ask(&json!({ "model": "o4-mini" })).status, 200);
    gate.release();
    let mut events = 0;
    while let Some(piece) = running.read_body_some() {
        events += String::from_utf8_lossy(&piece).matches("event:").count();
    }
    assert_eq!(running.end(), Some(codex_test_support::End::Clean));
    assert!(events > 0);
    // One that is wrong changes nothing.
    fs::write(&limited.policy, "[everyone]\nmodels = []\n").unwrap();
    limited.proxy.signal(lifecycle::signal("HUP"));
    limited.proxy.wait_for_stderr("policy left as it was");
    limited.proxy.wait_for_stderr("line 2: everyone.models");
    assert_eq!(limited.ask(&json!({ "model": "o4-mini" })).status, 200);
}

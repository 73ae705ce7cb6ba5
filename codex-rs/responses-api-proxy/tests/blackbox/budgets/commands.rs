//! The commands that look into policies and ledgers, and starts that are refused.

use std::fs;
use std::process::{Command, Output};

use super::{limited, request, upstream};
use crate::PROXY;

fn run(args: &[&str]) -> Output {
    Command::new(PROXY).args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_policy_is_checked_and_explained() {
    let dir = tempfile::tempdir().unwrap();
    let (file, body) = (dir.path().join("policy.toml"), dir.path().join("body.json"));
    let policy = "[user.root]\nmodels = [\"gpt-5*\"]\n[[user.root.limits]]\nusd = 20\nper = \"day\"\n[total]\n\
                  [[total.limits]]\ntokens = 5_000_000\nper = \"24h\"\n";
    fs::write(&file, policy).unwrap();
    let file = file.to_str().unwrap();
    let checked = run(&["policy", "check", file]);
    assert_eq!(
        out(&checked),
        "total: 5,000,000 tokens per 24h\nuser:0: $20.00 per day\n"
    );
    fs::write(
        &body,
        r#"{"model":"gpt-4.1","tools":[{"type":"web_search"}]}"#,
    )
    .unwrap();
    let body_file = body.to_str().unwrap();
    let explained = run(&[
        "policy", "explain", file, "--user", "root", "--body", body_file,
    ]);
    assert_eq!(explained.status.code(), Some(1));
    assert!(
        out(&explained).contains("root is charged to user:0"),
        "{}",
        out(&explained)
    );
    assert!(
        err(&explained).contains("the model gpt-4.1 is not allowed for root; allowed: gpt-5*"),
        "{}",
        err(&explained)
    );
    fs::write(&body, r#"{"model":"gpt-5.2"}"#).unwrap();
    let explained = run(&[
        "policy", "explain", file, "--user", "0", "--body", body_file,
    ]);
    assert!(
        explained.status.success() && out(&explained).contains("allowed"),
        "{}",
        err(&explained)
    );
    let other = run(&["policy", "explain", file, "--user", "65534"]);
    assert!(
        err(&other).contains("has no table for the user 65534"),
        "{}",
        err(&other)
    );
}

#[test]
fn a_policy_that_cannot_be_enforced_is_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.toml");
    for (text, expected) in [
        (
            "[everyone]\n[[everyone.limits]]\nusd = 1\nper = \"week\"\n",
            "line 4: everyone.limits.per",
        ),
        (
            "[user.nobody-has-this-name]\n",
            "line 1: user.nobody-has-this-name: there is no such user",
        ),
        ("[everyone]\nmodel = \"x\"\n", "line 2: everyone.model"),
    ] {
        fs::write(&file, text).unwrap();
        for output in [
            run(&["policy", "check", file.to_str().unwrap()]),
            run(&["--policy", file.to_str().unwrap()]),
        ] {
            assert_eq!(output.status.code(), Some(1));
            assert!(err(&output).contains(expected), "{}", err(&output));
        }
    }
    for args in [
        &["--budget", "usd=20"][..],
        &["--allow-model", "gpt-[45]"],
        &["--budget-mode", "lax"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
    let alone = run(&["--ledger", "/tmp/nowhere"]);
    assert!(
        err(&alone).contains("--ledger and --budget-mode are about limits"),
        "{}",
        err(&alone)
    );
}

#[test]
fn a_ledger_is_shown_and_reset_while_no_proxy_has_it() {
    let upstream = upstream();
    let policy = "[everyone]\n[[everyone.limits]]\ntokens = 100000\nper = \"day\"\n";
    let mut limited = limited(&upstream, policy, &[]);
    assert_eq!(limited.ask(&request(700, 100)).status, 200);
    let ledger = limited.ledger.to_str().unwrap().to_owned();
    let locked = run(&["budget", "show", "--ledger", &ledger]);
    assert_eq!(locked.status.code(), Some(1));
    limited.proxy.signal(15);
    limited.proxy.wait_exit();
    let shown = run(&["budget", "show", "--ledger", &ledger]);
    assert!(
        out(&shown).contains("everyone per day") && out(&shown).contains("1 request, 800 tokens"),
        "{}",
        out(&shown)
    );
    assert!(
        run(&[
            "budget",
            "reset",
            "--ledger",
            &ledger,
            "--account",
            "everyone"
        ])
        .status
        .success()
    );
    assert_eq!(
        out(&run(&["budget", "show", "--ledger", &ledger])),
        "nobody has spent anything\n"
    );
}

#[test]
fn flags_are_limits_for_all_callers_together() {
    let upstream = upstream();
    let proxy = crate::in_front_of(&upstream)
        .args(["--budget", "requests=1/process", "--allow-model", "gpt-5*"])
        .start();
    let body = request(10, 1).to_string();
    assert_eq!(super::post(&proxy, &body).status, 200);
    let refused = super::post(&proxy, &body);
    codex_test_support::assert_openai_error(&refused, 400, "budget_exceeded");
    assert!(
        refused.text().contains("resets when the proxy starts anew"),
        "{}",
        refused.text()
    );
}

//! The `codex` binary: the proxy as a subcommand of it, and what else its command line has.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use codex_test_support::{MockUpstream, Proxy, Reply, TEST_KEY, run_to_exit};

const CODEX: &str = env!("CARGO_BIN_EXE_codex");

#[test]
fn the_proxy_is_served_with_overrides_before_and_after() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = Proxy::builder(CODEX)
        .args([
            "-c",
            "model=\"o3\"",
            "--config",
            "a.b=[1]",
            "responses-api-proxy",
        ])
        .args(["-c", "c=plain"])
        .upstream(&upstream)
        .start();
    let answer = proxy
        .client()
        .post("/v1/responses", &[], "{}")
        .read_answer();
    assert_eq!(answer.status, 200);
    let expected = format!("Bearer {TEST_KEY}");
    assert_eq!(
        upstream.wait_for_complete(0).header("authorization"),
        Some(expected.as_str())
    );
}

#[test]
fn what_is_wrong_with_a_command_line_is_exit_2() {
    for args in [
        &[][..],
        &["nonsense"],
        &["-c", "novalue", "responses-api-proxy"],
        &["responses-api-proxy", "-c", "=x"],
        &["completion"],
        &["completion", "tcsh"],
        &["--model", "m", "responses-api-proxy"],
    ] {
        // So that nothing else is missing for a chat.
        let env = [("OPENAI_API_KEY", "unused"), ("HOME", "/nonexistent")];
        let output = run_to_exit(CODEX, args, &env, b"");
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{args:?}"
        );
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn what_fails_is_exit_1_and_one_line() {
    let output = run_to_exit(CODEX, &["responses-api-proxy"], &[], b"");
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .starts_with("Error: API key must be provided via stdin")
    );
    assert_eq!(output.stderr.lines().count(), 1);
}

#[test]
fn the_version_is_there_on_both_levels() {
    for args in [&["--version"][..], &["responses-api-proxy", "--version"]] {
        let output = run_to_exit(CODEX, args, &[], b"");
        assert_eq!(output.code, Some(0));
        // A commit may follow.
        let version = output.stdout.split_whitespace().nth(1);
        assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn completions_know_the_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run_to_exit(CODEX, &["completion", shell], &[], b"");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        for word in ["server-info", "audit-required", "verify"] {
            assert!(output.stdout.contains(word), "{word} {shell}");
        }
    }
}

#[test]
fn an_audit_log_is_verified_without_a_proxy_and_without_a_key() {
    let log = format!("{{\"prev\":\"{}\",\"a\":1}}\n", "0".repeat(64));
    let verify = ["responses-api-proxy", "audit", "verify"];
    for before in [&[][..], &["-c", "model=\"o3\""]] {
        let args = [before, &verify, &["-"]].concat();
        let output = run_to_exit(CODEX, &args, &[], log.as_bytes());
        assert_eq!(output.code, Some(0), "{output:?}");
        // By sha256sum(1).
        let last = "last line: 290f1aca51630f55517d381ffaeacc82b57ed83108e645d0aed32f2d21efd49d\n";
        assert!(output.stdout.contains(last), "{}", output.stdout);
    }
    for args in [&["--help"][..], &["--port", "1", "-"]] {
        let output = run_to_exit(CODEX, &[&verify, args].concat(), &[], b"");
        let expected = if args == ["--help"] { 0 } else { 2 };
        assert_eq!(output.code, Some(expected), "{output:?}");
    }
    let output = run_to_exit(
        CODEX,
        &[
            &["responses-api-proxy", "--port", "1"],
            &verify[1..],
            &["-"],
        ]
        .concat(),
        &[],
        b"",
    );
    assert_eq!(output.code, Some(2), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_completion_that_cannot_be_written_is_a_failure() {
    let script = "exec \"$0\" completion bash >/dev/full";
    let output = run_to_exit("/bin/sh", &["-c", script, CODEX], &[], b"");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("No space left"), "{}", output.stderr);
    assert!(!output.stderr.contains("panic"), "{}", output.stderr);
}

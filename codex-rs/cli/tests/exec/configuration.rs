//! Which configuration counts, as the upstream sees it.

use codex_test_support::{MockUpstream, Reply};

use crate::{ask, assert_ended, base_url, codex, config};

fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::responses("hi"))
}

#[test]
fn a_flag_overrides_c_which_overrides_the_profile_which_overrides_the_file() {
    let upstream = upstream();
    let profile = "model = 'profile'\nmodel_reasoning_effort = 'low'";
    let cases: [(&[&str], &str); 4] = [
        (&[], "m"),
        (&["-p", "x"], "profile"),
        (&["-c", "model=a", "-p", "x", "-c", "model='b'"], "b"),
        (&["-m", "flag", "-c", "model=a", "--profile", "x"], "flag"),
    ];
    for (index, (args, model)) in cases.into_iter().enumerate() {
        let output = ask(&upstream)
            .file("x.config.toml", profile)
            .args(args)
            .run();
        assert_ended(&output, 0, "hi");
        let body = upstream.wait_for_complete(index).body_json();
        assert_eq!(body["model"], model);
        assert_eq!(body["reasoning"]["effort"] == "low", index > 0, "{args:?}");
    }
}

#[test]
fn overrides_count_before_and_after_the_subcommand() {
    let upstream = upstream();
    let url = format!(
        "model_providers.x={{name='x',base_url='{}'}}",
        base_url(&upstream)
    );
    let run = codex(&[
        "-c",
        "model_provider=x",
        "-c",
        &url,
        "e",
        "-c",
        "model=o3",
        "hi",
    ]);
    assert_ended(&run.run(), 0, "hi");
    assert_eq!(upstream.wait_for_complete(0).body_json()["model"], "o3");
}

#[test]
fn the_request_is_what_the_configuration_says() {
    let upstream = upstream();
    let output = ask(&upstream)
        .args(&[
            "-c",
            "instructions='be brief'",
            "-c",
            "model_reasoning_effort=high",
        ])
        .args(&["-c", "model_reasoning_summary=concise"])
        .provider("env_key=TEST_TOKEN")
        .provider("http_headers={x-one='1'}")
        .provider("env_http_headers={x-two='TWO',x-three='THREE'}")
        .provider("query_params={api-version='2026 x'}")
        .env("TEST_TOKEN", "token-1")
        .env("TWO", "2")
        .run();
    assert_ended(&output, 0, "hi");
    let request = upstream.wait_for_complete(0);
    assert_eq!(request.target, "/v1/responses?api-version=2026+x");
    assert_eq!(request.header("authorization"), Some("Bearer token-1"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("x-one"), Some("1"));
    assert_eq!(request.header("x-two"), Some("2"));
    assert_eq!(request.header("x-three"), None);
    assert_eq!(
        request.body_json(),
        serde_json::json!({
            "model": "m",
            "instructions": "be brief",
            "input": [{
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}],
            }],
            "reasoning": {"effort": "high", "summary": "concise"},
            "stream": true,
            "store": false,
            "include": ["reasoning.encrypted_content"],
        })
    );
}

#[test]
fn without_a_key_there_is_no_authorization() {
    let upstream = upstream();
    let output = ask(&upstream)
        .env("OPENAI_API_KEY", "not-for-this-one")
        .run();
    assert_ended(&output, 0, "hi");
    assert_eq!(upstream.wait_for_complete(0).header("authorization"), None);
}

#[test]
fn what_is_wrong_in_a_file_is_named_by_file_line_and_key() {
    let upstream = upstream();
    for (file, says) in [
        ("\n\nmodel = = 3", "config.toml:3: "),
        (
            "a = 1\nmodel = 3",
            "config.toml:2: model: expected a string, found a whole number",
        ),
        (
            "[model_providers.mock]\nwire_api = \"chat\"",
            "config.toml:2: model_providers.mock.wire_api: only wire_api = \"responses\"",
        ),
    ] {
        let output = ask(&upstream).file("config.toml", file).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1);
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_keys_of_an_agent_are_ignored() {
    let upstream = upstream();
    let more = "requires_openai_auth = false\nsupports_websockets = false\n\
                [mcp_servers.x]\ncommand = \"y\"\n[tui]\nnotifications = true\n[features]\nx = true";
    let file = format!(
        "approval_policy = \"never\"\nsandbox_mode = \"read-only\"\n{}",
        config(&upstream, more)
    );
    assert_ended(&ask(&upstream).file("config.toml", file).run(), 0, "hi");
}

#[test]
fn what_cannot_work_on_the_command_line_is_exit_2() {
    let upstream = upstream();
    for args in [
        &["-c", "novalue"][..],
        &["-c", "model=3"],
        &["-c", "a b=3"],
        &["--nonsense"],
        &["--profile", "../x"],
        &["two", "prompts"],
    ] {
        let output = ask(&upstream).args(args).run();
        assert_ended(&output, 2, "");
        assert!(!output.stderr.is_empty());
    }
    // A question would be lost before a subcommand.
    let output = codex(&["what?", "exec", "hi"]).run();
    assert_ended(&output, 2, "");
    let output = codex(&["-m", "x", "completion", "bash"]).run();
    assert_ended(&output, 2, "");
    assert!(
        output.stderr.contains("comes after `exec`"),
        "{}",
        output.stderr
    );
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_missing_key_says_what_to_set() {
    let output = codex(&["exec", "hi"]).run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("OPENAI_API_KEY"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("codex responses-api-proxy"));
}

#[test]
fn an_empty_model_is_refused() {
    let upstream = upstream();
    for args in [&["-m", ""][..], &["-c", "model="]] {
        let output = ask(&upstream).args(args).run();
        assert_ended(&output, 2, "");
    }
    let output = ask(&upstream).args(&["-c", "model=4.1"]).run();
    assert_ended(&output, 2, "");
    assert!(
        output.stderr.contains("as in 'model=\"4.1\"'"),
        "{}",
        output.stderr
    );
    assert!(upstream.requests().is_empty());
}

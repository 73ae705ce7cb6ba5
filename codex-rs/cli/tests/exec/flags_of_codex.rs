//! Command lines that were written for OpenAI's Codex CLI, and the subcommands about the configuration.

use codex_test_support::{MockUpstream, Reply};
use serde_json::json;

use crate::{Run, ask, assert_ended, base_url, codex, completed, config, created, delta};

fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::responses("hi"))
}

#[test]
fn flags_without_a_meaning_for_a_chat_are_taken() {
    let upstream = upstream();
    let run = ask(&upstream).args(&[
        "--skip-git-repo-check",
        "--ephemeral",
        "-s",
        "read-only",
        "--add-dir",
        "/tmp",
        "--color",
        "never",
        "-C",
        "/",
        "--enable",
        "x",
        "--disable=y",
        "--ignore-rules",
        "--dangerously-bypass-approvals-and-sandbox",
        "-a",
        "never",
        "--full-auto",
    ]);
    assert_ended(&run.run(), 0, "hi");
    assert_ended(&ask(&upstream).args(&["--yolo"]).run(), 0, "hi");
}

#[test]
fn flags_that_would_make_it_something_else_are_named() {
    let upstream = upstream();
    for flag in ["--oss", "--worktree", "--search"] {
        let output = ask(&upstream).args(&[flag]).run();
        assert_ended(&output, 2, "");
        let says = format!("Error: {flag} is a flag of OpenAI's Codex CLI that this chat client");
        assert!(output.stderr.contains(&says), "{}", output.stderr);
    }
    let output = ask(&upstream).args(&["-C", "/nowhere/at/all"]).run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("-C /nowhere/at/all"),
        "{}",
        output.stderr
    );
    assert!(upstream.requests().is_empty());
}

#[test]
fn subcommands_of_codex_are_named_and_not_sent() {
    let upstream = upstream();
    for args in [
        &["exec", "review"][..],
        &["exec", "fork"],
        &["login"],
        &["mcp"],
    ] {
        let output = codex(args).file("config.toml", config(&upstream, "")).run();
        assert_ended(&output, 2, "");
        let says = "is a subcommand of OpenAI's Codex CLI, which this is not";
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn flags_may_stand_before_exec() {
    let upstream = upstream();
    let before = &["-m", "before", "-C", "/", "exec", "hi"];
    let run = codex(before).file("config.toml", config(&upstream, ""));
    assert_ended(&run.run(), 0, "hi");
    assert_eq!(upstream.wait_for_complete(0).body_json()["model"], "before");
    let both = &["-m", "before", "exec", "-m", "after", "hi"];
    let run = codex(both).file("config.toml", config(&upstream, ""));
    assert_ended(&run.run(), 0, "hi");
    assert_eq!(upstream.wait_for_complete(1).body_json()["model"], "after");
}

#[test]
fn the_keys_of_codex_are_in_the_request() {
    let upstream = upstream();
    let run = ask(&upstream).args(&["--instructions", "be brief"]);
    let settings = [
        "developer_instructions='in French'",
        "model_verbosity=low",
        "service_tier=flex",
        "max_output_tokens=100",
        "model_reasoning_effort=high",
    ];
    let run = settings
        .iter()
        .fold(run, |run, setting| run.args(&["-c", setting]));
    assert_ended(&run.run(), 0, "hi");
    let body = upstream.wait_for_complete(0).body_json();
    assert_eq!(body["instructions"], "be brief");
    assert_eq!(body["input"][0]["role"], "developer");
    assert_eq!(body["input"][0]["content"][0]["text"], "in French");
    assert_eq!(body["input"][1]["role"], "user");
    assert_eq!(body["text"], json!({"verbosity": "low"}));
    assert_eq!(body["service_tier"], "flex");
    assert_eq!(body["max_output_tokens"], 100);
    assert_eq!(body["reasoning"], json!({"effort": "high"}));
}

#[test]
fn an_answer_is_checked_against_the_schema_that_was_asked_for() {
    let schema = json!({
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false,
    });
    let ask_with = |upstream: &MockUpstream| {
        let run = ask(upstream).file("schema.json", schema.to_string());
        let (path, last) = (run.path("schema.json"), run.path("last"));
        run.args(&["--output-schema", &path, "-o", &last])
    };
    let upstream = MockUpstream::h1(Reply::responses("{\"n\": 1}"));
    let run = ask_with(&upstream);
    assert_ended(&run.run(), 0, "{\"n\": 1}");
    assert_eq!(
        upstream.wait_for_complete(0).body_json()["text"]["format"],
        json!({"type": "json_schema", "strict": true, "schema": schema, "name": "codex_output_schema"})
    );
    for (text, says) in [
        ("{\"n\": \"x\"}", "the answer does not keep to the schema"),
        ("n is 1", "the answer is not the JSON that was asked for"),
    ] {
        let upstream = MockUpstream::h1(Reply::responses(text));
        let run = ask_with(&upstream);
        let output = run.run();
        assert_ended(&output, 1, text);
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert!(!std::path::Path::new(&run.path("last")).exists());
    }
    let upstream = MockUpstream::h1(Reply::responses("x"));
    let run = ask(&upstream).file("broken.json", "{");
    let path = run.path("broken.json");
    let output = run.args(&["--output-schema", &path]).run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("broken.json is not JSON"),
        "{}",
        output.stderr
    );
    assert!(upstream.requests().is_empty());
}

#[test]
fn what_has_no_effect_is_noted_and_strictly_refused() {
    let upstream = upstream();
    let file = format!("web_search = \"live\"\n{}", config(&upstream, ""));
    let run = ask(&upstream).file("config.toml", file);
    let output = run.run();
    assert_ended(&output, 0, "hi");
    let says = "config.toml: web_search has no effect in this chat client";
    assert!(output.stderr.contains(says), "{}", output.stderr);
    let output = run.args(&["--strict-config"]).run();
    assert_ended(&output, 1, "");
    assert!(output.stderr.contains(says), "{}", output.stderr);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn the_user_s_configuration_may_be_left_out() {
    let upstream = upstream();
    let url = format!("model_providers.x.base_url='{}'", base_url(&upstream));
    let run = codex(&["exec", "hi", "--ignore-user-config", "-c", &url])
        .args(&["-c", "model_provider=x"])
        .file("config.toml", "not = = toml");
    assert_ended(&run.run(), 0, "hi");
}

/// `codex` with these arguments, led to `upstream`.
fn led_to(upstream: &MockUpstream, args: &[&str]) -> Run {
    codex(args).file(
        "config.toml",
        config(upstream, "query_params = { v = \"1\" }"),
    )
}

#[test]
fn models_are_listed_where_the_provider_serves_them() {
    for body in [
        json!({"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b\u{1b}"}]}),
        json!({"models": [{"slug": "a"}, {"slug": "b\u{1b}"}]}),
        json!({"data": [{"id": "a"}, {"id": "b\u{1b}"}], "models": [{"slug": "a"}]}),
    ] {
        let upstream = MockUpstream::h1(Reply::json(200, &body));
        let output = led_to(&upstream, &["models"]).run();
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(0), "a\nb␛\n"),
            "{}",
            output.stderr
        );
        assert_eq!(upstream.wait_for_complete(0).target, "/v1/models?v=1");
    }
    let none = MockUpstream::h1(Reply::json(404, &json!({"error": {"message": "no list"}})));
    let output = led_to(&none, &["models"]).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("/v1/models answered 404 Not Found: no list"),
        "{}",
        output.stderr
    );
    let other = MockUpstream::h1(Reply::json(200, &json!({"object": "list"})));
    let output = led_to(&other, &["models"]).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("/v1/models answered with something other than a list of models"),
        "{}",
        output.stderr
    );
}

#[test]
fn the_configuration_is_shown_with_its_sources() {
    let upstream = upstream();
    let args = ["-c", "service_tier=flex", "config", "-c", "model=x"];
    let run = led_to(&upstream, &args).args(&["show", "-c", "model_verbosity=low"]);
    let output = run.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let file = run.path("config.toml");
    for line in [
        format!("model_provider = \"mock\"  # {file}\n"),
        "model = \"x\"  # -c model\n".to_owned(),
        "service_tier = \"flex\"  # -c service_tier\n".to_owned(),
        "model_verbosity = \"low\"  # -c model_verbosity\n".to_owned(),
    ] {
        assert!(output.stdout.contains(&line), "{}", output.stdout);
    }
    assert!(upstream.requests().is_empty());
}

#[cfg(unix)]
#[test]
fn a_reader_of_a_completion_script_may_leave() {
    let upstream =
        MockUpstream::h1(Reply::event_stream().data([created(), delta("x"), completed()].concat()));
    let script = "{ \"$0\" completion zsh; echo \"code $?\" >&2; } | true; sleep 0";
    let run = ask(&upstream);
    let output = run
        .start_by("/bin/sh", &["-c", script, crate::CODEX])
        .wait_exit();
    assert_eq!(output.stderr, "code 0\n");
}

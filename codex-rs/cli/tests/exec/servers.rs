//! Answers as servers of each kind send them, written from what they document: `recorded/`.

use codex_test_support::{MockUpstream, Reply};
use serde_json::json;

use crate::{ask, assert_ended};

const TEXT: &str = "Ein memfd ist eine anonyme Datei. 🎉";

/// A stream, and what its end says of model and tokens.
const RECORDED: [(&str, &str, &str); 6] = [
    (
        "OpenAI",
        include_str!("recorded/openai.sse"),
        "gpt-5.5-2026-03-01 by mock, 21 tokens in, 40 out (16 reasoning)",
    ),
    (
        "Azure",
        include_str!("recorded/azure.sse"),
        "gpt-5-deployment by mock, 21 tokens in, 9 out",
    ),
    (
        "LiteLLM, from chat completions",
        include_str!("recorded/litellm.sse"),
        "claude-sonnet by mock, 21 tokens in, 9 out",
    ),
    (
        "vLLM",
        include_str!("recorded/vllm.sse"),
        "openai/gpt-oss-20b by mock, 21 tokens in (16 cached), 19 out",
    ),
    (
        "Ollama",
        include_str!("recorded/ollama.sse"),
        "qwen3:8b by mock, 21 tokens in, 19 out",
    ),
    (
        "OpenRouter",
        include_str!("recorded/openrouter.sse"),
        "anthropic/claude-4.5-sonnet-20250929 by mock, 21 tokens in, 9 out",
    ),
];

#[test]
fn every_kind_of_server_is_understood() {
    for (server, stream, summary) in RECORDED {
        let upstream = MockUpstream::h1(Reply::event_stream().data(stream).chunk_size(100));
        let output = ask(&upstream).run();
        assert_ended(&output, 0, TEXT);
        // Nothing is noted but the summary.
        assert!(
            output.stderr.starts_with(summary),
            "{server}: {}",
            output.stderr
        );
        assert_eq!(
            output.stderr.lines().count(),
            1,
            "{server}: {}",
            output.stderr
        );
        let output = ask(&upstream).args(&["--json"]).run();
        let text = json!(TEXT).to_string();
        let message = format!("\"type\":\"agent_message\",\"text\":{text}");
        assert_eq!(
            output.stdout.matches(&message).count(),
            1,
            "{server}: {}",
            output.stdout
        );
    }
}

#[test]
fn the_label_of_a_stream_is_not_believed() {
    for label in ["application/json", "text/plain", "application/octet-stream"] {
        let upstream = MockUpstream::h1(Reply::bytes(200, label, RECORDED[0].1));
        assert_ended(&ask(&upstream).run(), 0, TEXT);
    }
}

#[test]
fn a_whole_response_where_a_stream_was_asked_for_is_an_answer() {
    let whole = include_str!("recorded/whole.json");
    for label in ["application/json", "text/event-stream"] {
        let upstream = MockUpstream::h1(Reply::bytes(200, label, whole));
        let output = ask(&upstream).run();
        assert_ended(&output, 0, TEXT);
        assert!(
            output.stderr.starts_with("m by mock, 21 tokens in, 9 out"),
            "{}",
            output.stderr
        );
    }
    let upstream = MockUpstream::h1(Reply::bytes(200, "application/json", whole));
    let output = ask(&upstream).args(&["--json=events"]).run();
    assert!(
        output
            .stdout
            .starts_with("{\"type\":\"response.completed\",\"response\":{")
    );
    assert_eq!(output.stdout.lines().count(), 1);
    for (body, says) in [
        (
            json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}),
            "the answer is incomplete: max_output_tokens",
        ),
        (
            json!({"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}),
            "the server failed: m (invalid_prompt)",
        ),
        (
            json!({"object": "chat.completion", "choices": []}),
            "answered with application/json instead of an event stream",
        ),
    ] {
        let output = ask(&MockUpstream::h1(Reply::json(200, &body))).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    let stream = RECORDED[0].1.replace("🎉", "\\ud83c");
    let upstream = MockUpstream::h1(Reply::event_stream().data(stream));
    assert_ended(&ask(&upstream).run(), 0, &TEXT.replace('🎉', "\u{fffd}"));
}

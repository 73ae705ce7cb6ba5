//! Answers that failed after they began: asked for again until something of them has been shown.

use codex_test_support::{CutKind, MockUpstream, Reply};
use serde_json::json;

use crate::{ask, assert_ended, completed, created, delta, event};

fn good() -> Reply {
    Reply::event_stream().data([created(), delta("x"), completed()].concat())
}

fn failed(code: &str, message: &str) -> Vec<u8> {
    let error = json!({"code": code, "message": message});
    event(&json!({"type": "response.failed", "response": {"error": error}}))
}

fn stream(events: &[Vec<u8>]) -> Reply {
    Reply::event_stream().data(events.concat())
}

#[test]
fn a_stream_that_ends_before_its_first_event_is_retried() {
    let empty = Reply::event_stream().data(": soon\n\n").cut(CutKind::Fin);
    let upstream = MockUpstream::h1(vec![empty.clone(), good()]);
    let output = ask(&upstream).provider("request_max_retries=0").run();
    assert_ended(&output, 0, "x");
    let upstream = MockUpstream::h1(empty);
    let output = ask(&upstream).provider("stream_max_retries=1").run();
    assert_ended(&output, 1, "");
    assert_eq!(upstream.requests().len(), 2);
}

/// What the server says when it may be otherwise in a moment, or the connection breaks.
#[test]
fn what_may_pass_is_asked_for_again_while_nothing_was_shown() {
    let error = event(&json!({"type": "error", "error": {"code": "server_error", "message": "m"}}));
    let cancelled = event(&json!({"type": "response.cancelled", "response": {}}));
    let reasoning = event(&json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"}));
    for (events, cut) in [
        (
            vec![
                created(),
                failed("rate_limit_exceeded", "try again in 10ms"),
            ],
            None,
        ),
        (vec![created(), failed("slow_down", "m")], None),
        (vec![failed("server_error", "m")], None),
        (vec![created(), failed("never_heard_of", "m")], None),
        (vec![created(), error], None),
        (vec![created(), cancelled], None),
        (vec![created(), reasoning], None),
        (vec![created()], None),
        (vec![created()], Some(CutKind::Reset)),
        (vec![b"data: ping\n\ndata: [DONE]\n\n".to_vec()], None),
    ] {
        let reply = stream(&events);
        let reply = match cut {
            Some(kind) => reply.cut(kind),
            None => reply,
        };
        let upstream = MockUpstream::h1(vec![reply, good()]);
        let output = ask(&upstream).provider("request_max_retries=0").run();
        assert_ended(&output, 0, "x");
        assert!(output.stderr.contains("(1 of 5)"), "{}", output.stderr);
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].body, requests[1].body);
    }
}

#[test]
fn what_was_shown_is_not_asked_for_again() {
    for end in [
        failed("server_error", "m"),
        failed("rate_limit_exceeded", "try again in 10ms"),
        Vec::new(),
    ] {
        let upstream = MockUpstream::h1(vec![stream(&[created(), delta("half"), end]), good()]);
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "half");
        assert_eq!(upstream.requests().len(), 1);
    }
    // With --json nothing is shown before a message is complete.
    let cut = || stream(&[created(), delta("half")]);
    let upstream = MockUpstream::h1(vec![cut(), good()]);
    let output = ask(&upstream).args(&["--json"]).run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains(r#""text":"x""#), "{}", output.stdout);
    assert!(!output.stdout.contains("half"), "{}", output.stdout);
    let upstream = MockUpstream::h1(vec![cut(), good()]);
    let output = ask(&upstream).args(&["--json=events"]).run();
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_would_be_said_again_is_final() {
    for code in [
        "context_length_exceeded",
        "insufficient_quota",
        "usage_limit_reached",
        "invalid_prompt",
        "cyber_policy",
        "image_content_policy_violation",
        "server_is_overloaded",
    ] {
        let upstream = MockUpstream::h1(stream(&[created(), failed(code, "the server's words")]));
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "");
        let says = format!("Error: the server failed: the server's words ({code})");
        assert!(output.stderr.contains(&says), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn the_server_says_when_and_whether_another_attempt_is_of_use() {
    let status = |status| Reply::json(status, &json!({"error": {"message": "m", "code": "c"}}));
    for (reply, says) in [
        (
            status(429).header("retry-after-ms", "1"),
            "again in 0.0 s (1 of 5)",
        ),
        (
            status(400).header("x-should-retry", "true"),
            "again in 0.2 s (1 of 5)",
        ),
        (status(408), "(1 of 5)"),
        (
            Reply::json(
                429,
                &json!({"error": {"message": "Please try again in 20ms."}}),
            ),
            "again in 0.0 s (1 of 5)",
        ),
    ] {
        let upstream = MockUpstream::h1(vec![reply, good()]);
        let output = ask(&upstream).run();
        assert_ended(&output, 0, "x");
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
    let hour = stream(&[
        created(),
        failed("rate_limit_exceeded", "try again in 59m59s"),
    ]);
    for reply in [
        status(503).header("x-should-retry", "false"),
        status(429),
        hour,
    ] {
        let upstream = MockUpstream::h1(vec![reply, good()]);
        assert_ended(&ask(&upstream).run(), 1, "");
        assert_eq!(upstream.requests().len(), 1);
    }
}

/// Wherever a stream breaks: all of the text once, or the part that was shown and an error.
#[test]
fn text_is_shown_once_wherever_a_stream_breaks() {
    let whole = include_str!("recorded/openai.sse");
    let events: Vec<&str> = whole.split_inclusive("\n\n").collect();
    let text = "Ein memfd ist eine anonyme Datei. 🎉";
    for cut in 0..events.len() {
        let begun = events[..cut].concat();
        let shown: String = ["Ein ", "memfd", " ist eine ", "anonyme Datei. 🎉"]
            .into_iter()
            .take(begun.matches("output_text.delta\n").count())
            .collect();
        let replies = || {
            let good = Reply::event_stream().data(whole);
            vec![Reply::event_stream().data(begun.clone()), good]
        };
        let upstream = MockUpstream::h1(replies());
        let (code, expected) = match shown.as_str() {
            "" => (0, text),
            shown => (1, shown),
        };
        assert_ended(&ask(&upstream).run(), code, expected);
        // A message that is complete is shown with --json; pieces of it are not.
        let upstream = MockUpstream::h1(replies());
        let output = ask(&upstream).args(&["--json"]).run();
        let is_done = begun.contains("event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":12");
        assert_eq!(output.code, Some(i32::from(is_done)), "{}", output.stdout);
        assert_eq!(output.stdout.matches("agent_message").count(), 1);
    }
}

//! A server that means harm: bounded memory, a clear error, a clean terminal.

use codex_test_support::{MockUpstream, Reply, Step};
use serde_json::json;

use crate::{ask, assert_ended, completed, created, delta, event};

/// Runs it with 1 GiB of address space, which a stream without end fills soon.
const LITTLE_MEMORY: &str = "ulimit -v 1048576; exec \"$@\"";

/// 2 GiB of this, a MiB at a time.
fn endless(beginning: &[u8], piece: &[u8]) -> MockUpstream {
    let piece = piece.repeat((1 << 20) / piece.len());
    let pieces = std::iter::repeat_n(Step::Data(piece.into()), 2048);
    MockUpstream::h1(Reply::event_stream().data(beginning.to_vec()).steps(pieces))
}

#[test]
fn a_stream_without_end_is_cut_off() {
    for (beginning, piece) in [
        (&b"data: "[..], &b"x"[..]),
        (b"", b"x"),
        (b"", b": ping\n\n"),
        (b"event: ", b"x"),
        (b"", b"data: x\n"),
        (b"", b"\xff"),
    ] {
        let upstream = endless(beginning, piece);
        let output = ask(&upstream).run_in_shell(LITTLE_MEMORY);
        assert_ended(&output, 1, "");
        assert!(
            output
                .stderr
                .contains("more than 16 MiB without the end of an event"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let upstream = endless(&created(), &delta(&"x".repeat(4000)));
    let output = ask(&upstream)
        .args(&["-o", "/dev/null"])
        .run_in_shell(LITTLE_MEMORY);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(
        output.stderr.contains("the answer is longer than 16 MiB"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_error_without_end_is_cut_off() {
    let piece = vec![b'x'; 1 << 20];
    let pieces = std::iter::repeat_n(Step::Data(piece.into()), 64);
    let upstream = MockUpstream::h1(Reply::new(400).steps(pieces));
    let output = ask(&upstream).run();
    assert_ended(&output, 1, "");
    assert!(output.stderr.len() < 1000, "{} bytes", output.stderr.len());
}

#[test]
fn what_is_no_event_is_an_error() {
    for (data, says) in [
        (
            "data: hello\n\n",
            "an event that is no JSON object with a type",
        ),
        (
            "data: [1]\n\n",
            "an event that is no JSON object with a type",
        ),
        (
            "data: {\"type\":\"response.output_text.delta\"}\n\n",
            "an event response.output_text.delta",
        ),
        (
            "data: {\"type\":\"response.completed\",\"response\":7}\n\n",
            "an event response.completed",
        ),
    ] {
        let upstream = MockUpstream::h1(Reply::event_stream().data(data));
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn invalid_utf_8_is_replaced() {
    let body = [
        created(),
        b"data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\xff\xc3b\"}\n\n".to_vec(),
        completed(),
    ];
    let upstream = MockUpstream::h1(Reply::event_stream().data(body.concat()));
    assert_ended(&ask(&upstream).run(), 0, "a\u{fffd}\u{fffd}b");
}

#[test]
fn events_out_of_order_make_no_answer_of_two() {
    // Text before the beginning is text; a second beginning, or another's end, is a fault.
    let other = event(&json!({"type": "response.completed", "response": {"id": "other"}}));
    for (events, code, stdout) in [
        (vec![delta("x"), created(), completed()], 0, "x"),
        (vec![completed(), delta("x")], 0, ""),
        (vec![created(), delta("x"), created(), completed()], 1, "x"),
        (vec![created(), delta("x"), other], 1, "x"),
        (vec![created()], 1, ""),
    ] {
        let upstream = MockUpstream::h1(Reply::event_stream().data(events.concat()));
        assert_ended(&ask(&upstream).run(), code, stdout);
    }
}

#[test]
fn a_page_instead_of_a_stream_is_named() {
    let page = Reply::bytes(200, "text/html", "<html>\u{1b}]0;gotcha\u{7}</html>");
    let output = ask(&MockUpstream::h1(page)).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("answered with text/html instead of an event stream")
    );
}

#[test]
fn nothing_a_server_says_steers_the_terminal() {
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}\rx";
    let error = json!({"error": {"message": evil, "code": evil}});
    let failed = event(&json!({"type": "error", "message": evil}));
    let model = event(&json!({"type": "response.created", "response": {"model": evil}}));
    let call = json!({"type": "response.output_item.done", "item": {"type": "function_call", "name": evil}});
    let think = event(&json!({"type": "response.reasoning_summary_text.delta", "delta": evil}));
    for reply in [
        Reply::json(400, &error),
        Reply::bytes(400, "text/plain", evil),
        Reply::redirect(307, "http://x/\u{1b}[2J"),
        Reply::event_stream().data(failed),
        Reply::event_stream().data([model, think, event(&call), completed()].concat()),
        Reply::bytes(200, "text/\u{1b}[2J", "x"),
    ] {
        let output = ask(&MockUpstream::h1(reply))
            .args(&["--show-reasoning"])
            .run();
        let is_steering = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!output.stderr.contains(is_steering), "{:?}", output.stderr);
    }
}

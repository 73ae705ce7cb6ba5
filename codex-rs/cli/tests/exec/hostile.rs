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

/// GOAWAY with debug data (RFC 9113, section 6.8): no stream was processed, ENHANCE_YOUR_CALM.
fn goaway(debug_data: &str) -> Vec<u8> {
    let length = u32::try_from(8 + debug_data.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], 7, 0, 0, 0, 0, 0];
    [&head[..], &[0, 0, 0, 0, 0, 0, 0, 11], debug_data.as_bytes()].concat()
}

#[test]
fn the_debug_data_of_a_goaway_is_not_printed() {
    for debug_data in ["the token is t0ken-0123456789", &"x".repeat(10_000)] {
        let upstream = MockUpstream::h2(Reply::raw(goaway(debug_data), false));
        let output = ask(&upstream)
            .env("SSL_CERT_FILE", upstream.ca_file().to_str().unwrap())
            .env("TOKEN", "t0ken-0123456789")
            .provider("env_key='TOKEN'")
            .provider("request_max_retries=0")
            .run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains("GOAWAY"), "{}", output.stderr);
        assert!(!output.stderr.contains("t0ken"), "{}", output.stderr);
        assert!(output.stderr.len() < 600, "{}", output.stderr);
    }
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
fn a_stream_without_an_event_is_an_error_that_is_said_once() {
    for (data, says) in [
        (
            "data: hello\n\n",
            "an event that is not a JSON object with a type",
        ),
        (
            "data: [1]\n\n",
            "an event that is not a JSON object with a type",
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
        let upstream = MockUpstream::h1(Reply::event_stream().data(data.repeat(3)));
        let output = ask(&upstream).provider("stream_max_retries=1").run();
        assert_ended(&output, 1, "");
        assert_eq!(output.stderr.matches(says).count(), 2, "{}", output.stderr);
        let end = "Error: the answer was cut short: the stream ended before response.completed";
        assert!(output.stderr.contains(end), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 2);
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
fn events_out_of_order_do_not_mix_two_answers() {
    // Text before the beginning is text; a second beginning after it is a fault. Ids are not compared.
    let other = event(&json!({"type": "response.completed", "response": {"id": "other"}}));
    for (events, code, stdout) in [
        (vec![delta("x"), created(), completed()], 0, "x"),
        (vec![completed(), delta("x")], 1, ""),
        (vec![created(), delta("x"), created(), completed()], 1, "x"),
        (vec![created(), delta("x"), other], 0, "x"),
        (vec![created(), created(), delta("x"), completed()], 0, "x"),
        (vec![created()], 1, ""),
    ] {
        let upstream = MockUpstream::h1(Reply::event_stream().data(events.concat()));
        let run = ask(&upstream).provider("stream_max_retries=0");
        assert_ended(&run.run(), code, stdout);
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
fn no_control_sequence_of_a_server_message_reaches_the_terminal() {
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

#[test]
fn texts_that_contradict_the_streamed_ones_are_not_stored() {
    let mut body = vec![Step::Data(created().into())];
    let text = "y".repeat(4 << 20);
    // Stored, they would take more than the memory it has.
    for index in 0..28 {
        let position = json!({"output_index": 0, "content_index": index});
        for (kind, field, text) in [
            ("response.output_text.delta", "delta", "x"),
            ("response.output_text.done", "text", text.as_str()),
        ] {
            let mut data = position.clone();
            data["type"] = kind.into();
            data[field] = text.into();
            body.push(Step::Data(event(&data).into()));
        }
    }
    body.push(Step::Data(completed().into()));
    let upstream = MockUpstream::h1(Reply::event_stream().steps(body));
    // An arena of the C library for each thread would take half of it, used or not.
    let limited = "export MALLOC_ARENA_MAX=1; ulimit -v 131072; exec \"$@\"";
    let output = ask(&upstream).run_in_shell(limited);
    assert_ended(&output, 0, &"x".repeat(28));
}

#[test]
fn a_key_that_a_server_echoes_is_not_printed() {
    let key = "tok-abcdefgh-123";
    let echo = format!("you sent Bearer {key}, {key}!");
    let call = json!({"type": "response.output_item.done", "item": {"type": "function_call", "name": echo}});
    let failed = event(&json!({"type": "error", "message": echo}));
    let model = event(&json!({"type": "response.created", "response": {"model": echo}}));
    let text = [
        delta("it is tok-abc"),
        delta("defgh-123"),
        delta(". Or tok-"),
    ];
    let page = Reply::bytes(200, &format!("text/{key}"), "x");
    for reply in [
        Reply::json(401, &json!({"error": {"message": echo, "code": echo}})),
        Reply::bytes(400, "text/plain", echo.clone()),
        Reply::redirect(307, &format!("http://x/{key}")),
        page,
        Reply::event_stream().data(failed),
        Reply::event_stream().data([model, event(&call), text.concat(), completed()].concat()),
        Reply::event_stream().data([delta(&echo), completed()].concat()),
    ] {
        for more in [&[][..], &["--json"], &["--json=events"]] {
            let upstream = MockUpstream::h1(reply.clone());
            let run = ask(&upstream).provider("env_key=KEY").env("KEY", key);
            let run = run
                .provider("request_max_retries=0")
                .provider("stream_max_retries=0");
            let run = run.args(more);
            let file = run.path("last");
            let run = run.args(&["-o", &file]);
            let output = run.run();
            let written = std::fs::read_to_string(&file).unwrap_or_default();
            let all = format!("{}{}{written}", output.stdout, output.stderr);
            assert!(!all.contains(key), "{all}");
            if more.is_empty() {
                assert!(all.contains("[key]"), "{all}");
            }
        }
    }
    // What only begins like it is said.
    let upstream =
        MockUpstream::h1(Reply::event_stream().data([text.concat(), completed()].concat()));
    let output = ask(&upstream).provider("env_key=KEY").env("KEY", key).run();
    assert_ended(&output, 0, "it is [key]. Or tok-");
}

#[test]
fn a_slow_error_body_is_not_waited_for() {
    let mut reply = Reply::new(400).framing(codex_test_support::Framing::Chunked);
    for _ in 0..300 {
        reply = reply.data(" ").pace(std::time::Duration::from_millis(200));
    }
    let output = ask(&MockUpstream::h1(reply))
        .provider("stream_idle_timeout_ms=1000")
        .run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("400 Bad Request"),
        "{}",
        output.stderr
    );
}

#[test]
fn long_error_messages_of_a_server_are_truncated() {
    let long = "E".repeat(3_000_000);
    let failed =
        event(&json!({"type": "response.failed", "response": {"error": {"message": long}}}));
    let refused = event(&json!({"type": "response.refusal.delta", "delta": long}));
    let named = event(&json!({"type": "response.created", "response": {"model": long}}));
    for body in [
        failed,
        [refused, completed()].concat(),
        [named, delta("x"), completed()].concat(),
    ] {
        let upstream = MockUpstream::h1(Reply::event_stream().data(body));
        let output = ask(&upstream).provider("stream_max_retries=0").run();
        assert!(output.stderr.len() < 1200, "{} bytes", output.stderr.len());
    }
}

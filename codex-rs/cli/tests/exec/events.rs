//! Each event, and what becomes of it.

use codex_test_support::responses::text_events;
use codex_test_support::{CutKind, Framing, Gate, MockUpstream, Reply};
use serde_json::json;

use crate::{ask, assert_ended, completed, created, delta, event};

/// The answer of an upstream that sends these events and no more.
fn answer(events: &[Vec<u8>]) -> MockUpstream {
    MockUpstream::h1(Reply::event_stream().data(events.concat()))
}

#[test]
fn text_arrives_as_it_is_sent() {
    let gates = [Gate::new(), Gate::new()];
    let reply = Reply::event_stream()
        .data([created(), delta("one ")].concat())
        .hold(&gates[0])
        .data(delta("two"))
        .hold(&gates[1])
        .data(completed());
    let upstream = MockUpstream::h1(reply);
    let run = ask(&upstream);
    let program = run.start();
    assert_eq!(program.wait_for_stdout("one "), "one ");
    gates[0].release();
    assert_eq!(program.wait_for_stdout("two"), "one two");
    gates[1].release();
    assert_ended(&program.wait_exit(), 0, "one two");
}

#[test]
fn an_answer_may_be_cut_at_every_byte() {
    let text = "Grüße, \u{1f389} and \\\"quotes\\\"\nnext";
    let bytes: Vec<u8> = text_events(text)
        .iter()
        .flat_map(codex_test_support::responses::Event::to_bytes)
        .collect();
    // Each piece is written by itself, down to single bytes.
    for size in [1, 2, 3, 7, 64] {
        let upstream = MockUpstream::h1(Reply::event_stream().data(bytes.clone()).chunk_size(size));
        assert_ended(&ask(&upstream).run(), 0, text);
    }
}

#[test]
fn every_framing_of_a_body_is_accepted() {
    for framing in [
        Framing::Chunked,
        Framing::ContentLength,
        Framing::CloseDelimited,
    ] {
        let body = [created(), delta("x"), completed()].concat();
        let upstream = MockUpstream::h1(Reply::event_stream().framing(framing).data(body));
        assert_ended(&ask(&upstream).run(), 0, "x");
    }
}

#[test]
fn over_http_2_with_tls() {
    let upstream = MockUpstream::h2(Reply::responses("hello over h2"));
    let run = ask(&upstream).env("SSL_CERT_FILE", upstream.ca_file().to_str().unwrap());
    assert_ended(&run.run(), 0, "hello over h2");
    let version = format!("{:?}", upstream.requests()[0].version);
    assert_eq!(version, "HTTP/2.0");
    let output = ask(&upstream).provider("request_max_retries=0").run();
    assert_ended(&output, 1, "");
    assert!(output.stderr.contains("certificate"), "{}", output.stderr);
}

#[test]
fn other_line_ends_comments_and_field_names_are_accepted() {
    let body = b"\xef\xbb\xbf: hello\r\n\r\nevent: whatever\r\nid: 1\r\nretry: 5\r\ndata: \
        {\"type\":\"response.output_text.delta\",\r\ndata: \"delta\":\"x\"}\r\n\r\n: ping\r\r\
        data:{\"type\":\"response.completed\",\"response\":{}}\r\r";
    let upstream = MockUpstream::h1(Reply::event_stream().data(&body[..]));
    assert_ended(&ask(&upstream).run(), 0, "x");
}

#[test]
fn unknown_events_are_skipped() {
    let new = event(&json!({"type": "response.telepathy.delta", "delta": {"deep": [1]}}));
    let upstream = answer(&[created(), new.clone(), delta("x"), new, completed()]);
    assert_ended(&ask(&upstream).run(), 0, "x");
}

#[test]
fn text_that_was_not_streamed_is_printed_at_the_end() {
    let item = json!({"type": "message", "content": [{"type": "output_text", "text": "all"}]});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let whole = json!({"type": "response.completed", "response": {"output": [item]}});
    assert_ended(&ask(&answer(&[event(&done), completed()])).run(), 0, "all");
    assert_ended(&ask(&answer(&[event(&whole)])).run(), 0, "all");
    assert_ended(
        &ask(&answer(&[delta("all"), event(&done), event(&whole)])).run(),
        0,
        "all",
    );
}

#[test]
fn usage_model_and_time_are_printed_unless_quiet() {
    let usage = json!({
        "input_tokens": 12, "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 4},
    });
    let end = event(&json!({"type": "response.completed", "response": {"usage": usage}}));
    let upstream = answer(&[created(), delta("x"), end]);
    let output = ask(&upstream).run();
    assert_ended(&output, 0, "x");
    let says = "m-1 by mock, 12 tokens in (3 cached), 7 out (4 reasoning), ";
    assert!(output.stderr.starts_with(says), "{}", output.stderr);
    let output = ask(&upstream).args(&["--quiet"]).run();
    assert_ended(&output, 0, "x");
    assert_eq!(output.stderr, "");
}

#[test]
fn reasoning_is_shown_on_standard_error_when_asked_for() {
    let part = event(&json!({"type": "response.reasoning_summary_part.added"}));
    let think =
        |text| event(&json!({"type": "response.reasoning_summary_text.delta", "delta": text}));
    let events = [
        created(),
        part.clone(),
        think("Hm"),
        think("m."),
        part,
        think("Aha."),
        delta("x"),
        completed(),
    ];
    let upstream = answer(&events);
    let output = ask(&upstream).args(&["--show-reasoning"]).run();
    assert_ended(&output, 0, "x");
    assert!(
        output.stderr.starts_with("Hmm.\n\nAha.\n\n"),
        "{}",
        output.stderr
    );
    assert_eq!(
        upstream.wait_for_complete(0).body_json()["reasoning"]["summary"],
        "auto"
    );
    let output = ask(&upstream).run();
    assert_ended(&output, 0, "x");
    assert!(!output.stderr.contains("Hm"));
    assert!(upstream.wait_for_complete(1).body_json()["reasoning"].is_null());
}

#[test]
fn a_refusal_is_not_an_answer() {
    let no = event(&json!({"type": "response.refusal.delta", "delta": "I won't."}));
    let output = ask(&answer(&[created(), no, completed()])).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("Error: the model refused to answer: I won't.")
    );
}

#[test]
fn an_answer_that_failed_is_exit_1_and_says_why() {
    for (end, says) in [
        (
            json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "oops"}}}),
            "the server failed: oops (server_error)",
        ),
        (
            json!({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}),
            "the answer is incomplete: max_output_tokens",
        ),
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}),
            "the server failed: slow down (rate_limit_exceeded)",
        ),
    ] {
        let upstream = answer(&[created(), delta("half"), event(&end)]);
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "half");
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_truncated_answer_is_an_error_and_is_not_retried() {
    let body = [created(), delta("half")].concat();
    for reply in [
        Reply::event_stream().data(body.clone()),
        Reply::event_stream().data(body.clone()).cut(CutKind::Fin),
        Reply::event_stream().data(body.clone()).cut(CutKind::Reset),
        Reply::event_stream()
            .framing(Framing::CloseDelimited)
            .data(body),
    ] {
        let upstream = MockUpstream::h1(reply);
        let output = ask(&upstream).run();
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(
            output.stderr.contains("the answer was cut short"),
            "{}",
            output.stderr
        );
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_tool_that_is_called_is_not_run() {
    let call = json!({"type": "function_call", "name": "shell", "arguments": "{\"command\":\"touch /tmp/x\"}"});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": call});
    let output = ask(&answer(&[created(), event(&done), completed()])).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("Error: there is no text in the answer: the model called the tool shell"),
        "{}",
        output.stderr
    );
    // Text beside it makes an answer.
    let output = ask(&answer(&[created(), event(&done), delta("x"), completed()])).run();
    assert_ended(&output, 0, "x");
}

#[test]
fn an_answer_without_text_is_an_error() {
    let upstream = answer(&[created(), completed()]);
    let run = ask(&upstream).file("last", "older");
    let file = run.path("last");
    let run = run.args(&["-o", &file]);
    let output = run.run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("there is no text in the answer, and no refusal")
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "older");
}

#[test]
fn usage_of_any_type_is_accepted() {
    for usage in [
        json!({"input_tokens": null, "output_tokens": 2}),
        json!({"input_tokens": 1.0, "output_tokens": "2", "input_tokens_details": []}),
        json!("many"),
    ] {
        let end = json!({"type": "response.completed", "response": {"id": "r", "usage": usage}});
        assert_ended(
            &ask(&answer(&[created(), delta("x"), event(&end)])).run(),
            0,
            "x",
        );
    }
}

#[test]
fn an_error_may_be_a_string() {
    for (reply, says) in [
        (
            event(&json!({"type": "response.failed", "response": {"error": "out of memory"}})),
            "the server failed: out of memory",
        ),
        (
            event(&json!({"type": "error", "error": "out of memory"})),
            "the server failed: out of memory",
        ),
    ] {
        let output = ask(&answer(&[created(), reply])).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
    for (reply, says) in [
        (
            Reply::json(400, &json!({"error": "no such model"})),
            "400 Bad Request: no such model",
        ),
        (
            Reply::json(
                200,
                &json!({"error": {"message": "not loaded", "code": "c"}}),
            ),
            "200 OK: not loaded (c)",
        ),
        (
            Reply::json(200, &json!({"id": "r"})),
            "answered with application/json instead of an event stream",
        ),
        (
            Reply::event_stream()
                .header("content-encoding", "gzip")
                .data("\u{1f}"),
            "content-encoding gzip",
        ),
        (
            Reply::new(204),
            "204 No Content, and without content there is no answer",
        ),
    ] {
        let upstream = MockUpstream::h1(reply);
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 1);
    }
}

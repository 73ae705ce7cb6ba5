//! `--json`: the events of Codex, and with `=events` those of the server.

use codex_test_support::{Gate, MockUpstream, Reply};
use serde_json::{Value, json};

use crate::{ask, codex, completed, config, created, delta, event};

fn lines(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines with `-` for the id of the thread, which is checked to be a UUID of the seventh version.
fn events(stdout: &str) -> Vec<Value> {
    let mut events = lines(stdout);
    if let Some(id) = events
        .first_mut()
        .and_then(|first| first.get_mut("thread_id"))
    {
        let text = id.as_str().unwrap();
        assert_eq!((text.len(), text.as_bytes()[14]), (36, b'7'), "{text}");
        *id = "-".into();
    }
    events
}

fn answer(events: &[Vec<u8>]) -> MockUpstream {
    MockUpstream::h1(Reply::event_stream().data(events.concat()))
}

fn done(item: &Value) -> Vec<u8> {
    event(&json!({"type": "response.output_item.done", "output_index": 0, "item": item}))
}

fn begun() -> Vec<Value> {
    vec![
        json!({"type": "thread.started", "thread_id": "-"}),
        json!({"type": "turn.started"}),
    ]
}

#[test]
fn a_turn_is_a_thread_items_and_usage() {
    let action = json!({"type": "search", "query": "q", "queries": ["q"]});
    let search = json!({"type": "web_search_call", "id": "ws_1", "action": action});
    let summary =
        json!([{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}]);
    let parts =
        json!([{"type": "output_text", "text": "on"}, {"type": "output_text", "text": "e"}]);
    let usage = json!({
        "input_tokens": 12, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 4},
    });
    let upstream = answer(&[
        created(),
        done(&json!({"type": "reasoning", "summary": summary})),
        done(&json!({"type": "reasoning", "summary": []})),
        event(&json!({"type": "response.output_item.added", "item": {"type": "web_search_call"}})),
        done(&search),
        delta("on"),
        done(&json!({"type": "message", "role": "assistant", "content": parts})),
        event(&json!({"type": "response.completed", "response": {"usage": usage}})),
    ]);
    for flag in ["--json", "--experimental-json", "--json=codex"] {
        let output = ask(&upstream).args(&[flag]).run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let item = |kind: &str, item: Value| json!({"type": kind, "item": item});
        let nothing =
            json!({"id": "item_1", "type": "web_search", "query": "", "action": {"type": "other"}});
        let found = json!({"id": "item_1", "type": "web_search", "query": "q", "action": action});
        let mut expected = begun();
        expected.extend([
            item(
                "item.completed",
                json!({"id": "item_0", "type": "reasoning", "text": "A\nB"}),
            ),
            item("item.started", nothing),
            item("item.completed", found),
            item(
                "item.completed",
                json!({"id": "item_2", "type": "agent_message", "text": "one"}),
            ),
            json!({"type": "turn.completed", "usage": {
                "input_tokens": 12, "cached_input_tokens": 3, "cache_write_input_tokens": 2,
                "output_tokens": 7, "reasoning_output_tokens": 4,
            }}),
        ]);
        assert_eq!(events(&output.stdout), expected);
    }
}

#[test]
fn every_failure_ends_with_an_error_and_a_failed_turn() {
    let failed =
        json!({"type": "response.failed", "response": {"error": {"code": "c", "message": "m"}}});
    let refusal = event(&json!({"type": "response.refusal.done", "refusal": "no"}));
    let shown = json!({"type": "message", "content": [{"type": "output_text", "text": "x"}]});
    let cut = MockUpstream::h1(Reply::event_stream().data([created(), done(&shown)].concat()));
    let status = MockUpstream::h1(Reply::json(401, &json!({"error": {"message": "m"}})));
    for (upstream, says) in [
        (
            answer(&[created(), event(&failed)]),
            "the server failed: m (c)",
        ),
        (
            answer(&[created(), refusal, completed()]),
            "the model refused to answer: no",
        ),
        (
            answer(&[created(), completed()]),
            "there is no text in the answer, and no refusal",
        ),
        (
            cut,
            "the answer was cut short: the stream ended before response.completed",
        ),
        (status, "401 Unauthorized: m"),
    ] {
        let run = ask(&upstream)
            .provider("stream_max_retries=1")
            .args(&["--json"]);
        let output = run.run();
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert_failed(&events(&output.stdout), says);
    }
    // Also before there is a request.
    let blank = answer(&[]);
    for (run, says) in [
        (codex(&["exec", "--json", "hi"]), "OPENAI_API_KEY"),
        (
            codex(&["exec", "--json", " "]).file("config.toml", config(&blank, "")),
            "the prompt is empty",
        ),
    ] {
        assert_failed(&events(&run.run().stdout), says);
    }
}

#[track_caller]
fn assert_failed(events: &[Value], says: &str) {
    assert_eq!(events[..2], begun());
    let [.., error, failed] = events else {
        panic!("{events:?}");
    };
    assert_eq!(error["type"], "error");
    assert_eq!(failed["type"], "turn.failed");
    assert_eq!(failed["error"]["message"], error["message"]);
    assert!(error["message"].as_str().unwrap().contains(says), "{error}");
}

#[test]
fn a_retry_is_an_error_that_is_none_of_the_turn() {
    let cut = Reply::event_stream().data(created());
    let good = Reply::event_stream().data([created(), delta("x"), completed()].concat());
    let output = ask(&MockUpstream::h1(vec![cut, good]))
        .args(&["--json"])
        .run();
    let mut expected = begun();
    let why = "the answer was cut short: the stream ended before response.completed";
    expected.push(json!({"type": "error", "message": format!("Reconnecting... 1/5 ({why})")}));
    let found = events(&output.stdout);
    assert_eq!(found[..3], expected);
    assert_eq!(found[3]["item"]["id"], "item_0");
    assert_eq!(found[4]["type"], "turn.completed");
}

#[cfg(unix)]
#[test]
fn an_interrupted_turn_has_failed() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(Reply::event_stream().data(created()).hold(&gate));
    let run = ask(&upstream).args(&["--json"]);
    let program = run.start();
    program.wait_for_stdout("turn.started\"}\n");
    upstream.wait_for_complete(0);
    program.signal("INT");
    let output = program.wait_exit();
    assert_eq!(output.code, Some(130));
    assert_failed(&events(&output.stdout), "interrupted");
    gate.release();
}

#[test]
fn the_server_s_own_events_are_printed_one_a_line() {
    let spread = b"data: {\"type\":\"response.output_text.delta\",\ndata:  \"delta\":\"x\"}\n\n";
    let skipped = b"data: ping\n\ndata: [DONE]\n\n".to_vec();
    let upstream = answer(&[created(), skipped, spread.to_vec(), completed()]);
    let run = ask(&upstream).args(&["--json=events"]);
    let output = run.run();
    assert_eq!(output.code, Some(0));
    let kinds: Vec<String> = lines(&output.stdout)
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ];
    assert_eq!(kinds, expected);
    let upstream = MockUpstream::h1(Reply::json(400, &json!({"error": {"message": "m"}})));
    let output = ask(&upstream).args(&["--json=events"]).run();
    let found = lines(&output.stdout);
    assert_eq!(found.last().unwrap()["type"], "error");
}

/// Redaction is of what is read, not of how it is written; and what is no secret stays.
#[test]
fn what_is_no_secret_is_not_redacted_and_a_secret_is_however_it_is_written() {
    let text = event(&json!({
        "type": "response.output_text.delta",
        "delta": "assistant completed 2025-04-01-preview",
    }));
    let upstream = answer(&[created(), text.clone(), completed()]);
    let run = ask(&upstream)
        .provider("query_params={api-version='2025-04-01-preview'}")
        .provider("http_headers={X-Title='assistant',X-Kind='response.completed'}");
    let output = run.run();
    crate::assert_ended(&output, 0, "assistant completed 2025-04-01-preview");
    let key = "t\"oken-abc/def";
    let escaped =
        br#"data: {"type":"response.output_text.delta","delta":"\u0074\"oken-abc\/def!"}"#;
    let upstream = answer(&[created(), escaped.to_vec(), b"\n\n".to_vec(), completed()]);
    for (flags, says) in [
        (&[][..], "[key]!\n"),
        (&["--json=events"], "\"delta\":\"[key]!\""),
    ] {
        let run = ask(&upstream)
            .provider("env_key='K'")
            .env("K", key)
            .args(flags);
        let output = run.run();
        assert!(output.stdout.contains(says), "{}", output.stdout);
    }
}

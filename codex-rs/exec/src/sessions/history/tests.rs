use serde_json::json;

use super::*;
use crate::conversation::item::Role;

fn history(lines: &[Value]) -> History {
    let mut history = History::default();
    for line in lines {
        assert!(history.take(line.to_string().as_bytes(), None).unwrap());
    }
    history.complete();
    history
}

fn item(payload: &Value) -> Value {
    json!({"timestamp": "t", "type": "response_item", "payload": payload})
}

fn event(payload: &Value) -> Value {
    json!({"timestamp": "t", "type": "event_msg", "payload": payload})
}

fn said(role: &str, text: &str) -> Value {
    let kind = if role == "assistant" {
        "output_text"
    } else {
        "input_text"
    };
    item(
        &json!({"type": "message", "id": "msg_1", "role": role, "status": "completed",
        "content": [{"type": kind, "text": text, "annotations": []}],
        "internal_chat_message_metadata_passthrough": {"turn_id": "x"}}),
    )
}

/// Role and text of each message, and the type of everything else.
fn shown(history: &History) -> Vec<String> {
    let show = |item: &Item| match item.role() {
        Some(Role::User) => format!("user: {}", item.text().unwrap_or_default()),
        Some(_) => format!("model: {}", item.text().unwrap_or_default()),
        None => serde_json::to_value(item).unwrap()["type"].to_string(),
    };
    history.items.iter().map(show).collect()
}

#[test]
fn what_a_chat_needs_of_a_session_of_codex() {
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "content": null, "encrypted_content": "gAAA",
        "summary": [], "internal_chat_message_metadata_passthrough": {}});
    let call =
        json!({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c1"});
    let result = json!({"type": "function_call_output", "call_id": "c1", "output": "ok"});
    let without_result =
        json!({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c2"});
    let history = history(&[
        said("developer", "You are an agent."),
        said("user", "<environment_context>x</environment_context>"),
        said("user", "one"),
        json!({"type": "turn_context", "payload": {"model": "gpt-5.5"}}),
        item(&reasoning),
        item(&json!({"type": "reasoning", "summary": [], "encrypted_content": null})),
        item(&call),
        item(&result),
        item(&without_result),
        said("assistant", "two"),
        json!({"type": "world_state", "payload": {"full": true}}),
        json!({"type": "not heard of", "payload": 1}),
    ]);
    assert_eq!(
        shown(&history),
        [
            "user: <environment_context>x</environment_context>",
            "user: one",
            "\"reasoning\"",
            "\"function_call\"",
            "\"function_call_output\"",
            "model: two",
        ]
    );
    assert_eq!(history.model.as_deref(), Some("gpt-5.5"));
    assert_eq!(history.first_question(), Some("one"));
    assert_eq!(history.skipped, 0);
    assert_eq!(
        serde_json::to_value(&history.items[2]).unwrap(),
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"})
    );
    assert_eq!(
        serde_json::to_value(&history.items[5]).unwrap(),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]})
    );
}

#[test]
fn what_was_taken_back_and_what_was_made_shorter() {
    let taken_back = event(&json!({"type": "thread_rolled_back", "num_turns": 1}));
    let two = [
        said("user", "a"),
        said("assistant", "b"),
        said("user", "c"),
        said("assistant", "d"),
    ];
    let mut lines = two.to_vec();
    lines.push(taken_back.clone());
    assert_eq!(shown(&history(&lines)), ["user: a", "model: b"]);
    lines.push(event(
        &json!({"type": "thread_rolled_back", "num_turns": 9}),
    ));
    assert!(history(&lines).items.is_empty());

    let mut lines = two.to_vec();
    lines.push(json!({"type": "compacted", "payload": {"message": "in short"}}));
    lines.push(said("user", "e"));
    assert_eq!(
        shown(&history(&lines)),
        ["user: a", "user: c", "user: in short", "user: e"]
    );
    let kept = json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "z"}]}]);
    lines.push(
        json!({"type": "compacted", "payload": {"message": "", "replacement_history": kept}}),
    );
    assert_eq!(shown(&history(&lines)), ["user: z"]);
}

#[test]
fn tokens_of_the_whole_thread() {
    let count = |n: u64| {
        event(&json!({"type": "token_count", "info": {"total_token_usage": {"input_tokens": n}}}))
    };
    let none = event(&json!({"type": "token_count", "info": null}));
    assert_eq!(history(&[count(1), count(7), none]).usage.input_tokens, 7);
}

#[test]
fn damage_is_counted_and_passed_over() {
    let mut history = History::default();
    for line in [
        &b"{\"type\":\"response_item\",\"payl"[..],
        b"\xff\xfe\x00",
        b"[]",
        b"{\"type\":\"response_item\"}",
        b"{\"type\":\"turn_context\",\"payload\":7}",
        b"{\"type\":\"response_item\",\"payload\":{\"type\":\"message\",\"role\":\"user\",\"content\":\"x\"}}",
        b"{\"type\":\"response_item\",\"payload\":{\"type\":\"message\",\"role\":\"root\",\"content\":[]}}",
    ] {
        assert!(history.take(line, None).unwrap());
    }
    assert_eq!((history.skipped, history.items.len()), (5, 0));
    let deep = format!(
        "{{\"type\":\"response_item\",\"payload\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(history.take(deep.as_bytes(), None).unwrap());
    assert_eq!(history.skipped, 6);
    // An end that is named is kept to.
    assert!(
        !history
            .take(b"{\"type\":\"x\",\"ordinal\":5,\"payload\":1}", Some(5))
            .unwrap()
    );
    assert_eq!(history.next_ordinal, 0);
}

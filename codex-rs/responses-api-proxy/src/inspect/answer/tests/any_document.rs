//! What the meter reads is what serde_json reads in the whole of a document.

use super::*;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json, json};

use crate::inspect::json::MAX_STRING;

fn any_json() -> BoxedStrategy<Json> {
    let name = || {
        select(vec![
            "id",
            "model",
            "usage",
            "response",
            "x",
            "error",
            "é\"\\",
            "input_tokens",
        ])
    };
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "(\\PC|[\"\\\\\n]){200,400}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(name(), inner, 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
    .boxed()
}

/// Mostly what belongs there, and anything else.
fn or_any(expected: impl Strategy<Value = Json> + 'static) -> BoxedStrategy<Option<Json>> {
    prop_oneof![
        6 => expected.prop_map(Some),
        1 => any_json().prop_map(Some),
        1 => Just(None),
        1 => Just(Some(Json::Null)),
    ]
    .boxed()
}

fn object<const N: usize>(
    members: [(&'static str, Option<Json>); N],
    more: Vec<(String, Json)>,
) -> Json {
    let named = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(more.into_iter().chain(named).collect::<Map<_, _>>())
}

fn more() -> BoxedStrategy<Vec<(String, Json)>> {
    prop::collection::vec(("[n-z]{1,9}|(é|\"|\\\\){200}", any_json()), 0..4).boxed()
}

fn usage() -> BoxedStrategy<Json> {
    let count = || or_any((0..100_000_u64).prop_map(Json::from));
    let details =
        move |name| or_any(count().prop_map(move |count| object([(name, count)], Vec::new())));
    (
        count(),
        count(),
        prop_oneof![details("cached_tokens"), details("cache_write_tokens")],
        details("reasoning_tokens"),
        more(),
    )
        .prop_map(|(input, output, cached, reasoning, more)| {
            let members = [
                ("input_tokens", input),
                ("input_tokens_details", cached),
                ("output_tokens", output),
                ("output_tokens_details", reasoning),
            ];
            object(members, more)
        })
        .boxed()
}

fn response() -> BoxedStrategy<Json> {
    let short = || or_any("\\PC{0,20}".prop_map(Json::from));
    let error = or_any(
        (short(), short())
            .prop_map(|(code, kind)| object([("code", code), ("type", kind)], Vec::new())),
    );
    let status =
        or_any(select(vec!["completed", "incomplete", "failed", "queued"]).prop_map(Json::from));
    let reason = or_any(short().prop_map(|reason| object([("reason", reason)], Vec::new())));
    (
        short(),
        short(),
        short(),
        error,
        status,
        reason,
        or_any(usage()),
        more(),
    )
        .prop_map(|(id, model, tier, error, status, reason, usage, more)| {
            let members = [
                ("id", id),
                ("model", model),
                ("service_tier", tier),
                ("error", error),
                ("status", status),
                ("incomplete_details", reason),
                ("usage", usage),
            ];
            object(members, more)
        })
        .boxed()
}

/// As it is reported: what is as long as that when it is written is not read.
fn reported(value: &Json, written: fn(&Json) -> String) -> Option<Box<str>> {
    let text = value.as_str()?;
    let is_read = written(value).len() - 2 <= MAX_STRING;
    (is_read && !text.is_empty()).then(|| text.into())
}

fn counts(usage: &Json) -> Result<Option<TokenCounts>, ()> {
    if usage.is_null() {
        return Ok(None);
    }
    let usage = usage.as_object().ok_or(())?;
    let count = |of: &Map<String, Json>, name: &str| match of.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(()),
    };
    let detail = |of: &str, name: &str| match usage.get(of) {
        None | Some(Json::Null) => Ok(0),
        Some(details) => count(details.as_object().ok_or(())?, name).map(Option::unwrap_or_default),
    };
    Ok(Some(TokenCounts {
        input: count(usage, "input_tokens")?.ok_or(())?,
        cached: detail("input_tokens_details", "cached_tokens")?,
        cache_write: detail("input_tokens_details", "cache_write_tokens")?,
        output: count(usage, "output_tokens")?.ok_or(())?,
        reasoning: detail("output_tokens_details", "reasoning_tokens")?,
    }))
}

/// By the tree that serde_json makes of the whole document.
fn expected(response: &Json, end: Option<FinalEvent>, written: fn(&Json) -> String) -> AnswerFacts {
    let usage = counts(&response["usage"]);
    let text = |value: &Json| reported(value, written);
    let error = &response["error"];
    AnswerFacts {
        model: text(&response["model"]),
        response_id: text(&response["id"]),
        service_tier: text(&response["service_tier"]),
        usage: usage.unwrap_or_default(),
        usage_unreadable: usage.is_err(),
        end,
        error_type: match end {
            Some(FinalEvent::Completed) => None,
            Some(FinalEvent::Incomplete) => text(&response["incomplete_details"]["reason"]),
            Some(FinalEvent::Failed) | None => {
                text(&error["code"]).or_else(|| text(&error["type"]))
            }
        },
        ..AnswerFacts::default()
    }
}

fn compact(value: &Json) -> String {
    value.to_string()
}

fn pretty(value: &Json) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// With nothing but ASCII, as Python writes it.
fn ascii(value: &Json) -> String {
    let mut written = String::new();
    for character in value.to_string().chars() {
        if character.is_ascii() {
            written.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                written.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    written
}

proptest! {
    #[test]
    fn a_document_is_read_as_serde_json_reads_it(
        response in response(),
        written in select(vec![compact as fn(&Json) -> String, pretty, ascii]),
        sizes in prop::collection::vec(1..400_usize, 0..8),
    ) {
        let document = written(&response);
        let end = match response["status"].as_str() {
            Some("completed") => Some(FinalEvent::Completed),
            Some("incomplete") => Some(FinalEvent::Incomplete),
            Some("failed") => Some(FinalEvent::Failed),
            _ => None,
        };
        let (facts, _) = meter(AnswerForm::Json, document.as_bytes(), &sizes);
        prop_assert_eq!(facts, expected(&response, end, written));
    }

    /// In a stream, by its event line or by its type, which serde_json writes last.
    #[test]
    fn a_final_event_is_read_as_serde_json_reads_it(
        response in response(),
        written in select(vec![compact as fn(&Json) -> String, pretty, ascii]),
        sizes in prop::collection::vec(1..400_usize, 0..8),
        (name, end) in select(vec![
            ("response.completed", FinalEvent::Completed),
            ("response.incomplete", FinalEvent::Incomplete),
            ("response.failed", FinalEvent::Failed),
        ]),
        is_named in any::<bool>(),
        line_end in select(vec!["\n", "\r\n", "\r"]),
    ) {
        let data = written(&json!({"response": response, "type": name}));
        let mut lines: Vec<String> = data.lines().map(|line| format!("data: {line}")).collect();
        if is_named {
            lines.insert(0, format!("event: {name}"));
        }
        let body = lines.join(line_end) + line_end + line_end;
        let (facts, _) = meter(AnswerForm::EventStream, body.as_bytes(), &sizes);
        prop_assert_eq!(facts, expected(&response, Some(end), written));
    }

    /// Any events, whole or cut off, with faults in them.
    #[test]
    fn a_stream_is_read_the_same_however_it_is_cut(
        events in prop::collection::vec((
            "(event: ?(response\\.(created|completed|failed|output_text\\.delta)|error|x{60,66}|)(\r?\n|\r))?",
            "data: ?",
            prop_oneof![
                Just(r#"{"type":"response.output_text.delta","delta":"a"}"#.to_owned()),
                Just(r#"{"type":"response.completed","response":{"#.to_owned()),
                response().prop_map(|response| json!({"type": "response.completed", "response": response}).to_string()),
                response().prop_map(|response| format!(r#"{{"type":"response.created","response":{response}}}"#)),
                response().prop_map(|response| format!(r#"{{"type":"error","error":{}}}"#, response["error"])),
                r#"[{}\[\]":,a \\]{0,20}"#,
                r#"\{"type":"(response|\\u00e9|\u{1}|é)\.(delta|completed)""#,
            ],
            "(\r?\n|\r)(event: response.failed\n)?(\r?\n|\r)?",
        ), 0..6),
        sizes in prop::collection::vec(1..300_usize, 1..8),
    ) {
        let body: String = events.into_iter().map(|(name, field, data, end)| name + &field + &data + &end).collect();
        let whole = meter(AnswerForm::EventStream, body.as_bytes(), &[]);
        prop_assert_eq!(&whole, &meter(AnswerForm::EventStream, body.as_bytes(), &sizes));
        prop_assert_eq!(&whole, &meter(AnswerForm::EventStream, body.as_bytes(), &[1]));
        let json = meter(AnswerForm::Json, body.as_bytes(), &[]);
        prop_assert_eq!(json, meter(AnswerForm::Json, body.as_bytes(), &sizes));
    }
}

use super::facts::{FinalEvent, TokenCounts};
use http::HeaderMap;

use super::*;

use http::HeaderValue;
use http::header::HeaderName;

use crate::inspect::json::tests::pieces;

mod any_document;
mod hostile;
mod stream;

const USAGE: &str = r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":64,"cache_write_tokens":5},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":7},"total_tokens":120}"#;

const COUNTS: TokenCounts = TokenCounts {
    input: 100,
    cached: 64,
    output: 20,
    cache_write: 5,
    reasoning: 7,
};

const DELTA: &str = r#"{"type":"response.output_text.delta","sequence_number":4,"delta":"Hi"}"#;

fn text(text: &str) -> Option<Box<str>> {
    Some(text.into())
}

/// An answer's facts, the body in pieces of these sizes, over and over; and whether output was seen before the end.
fn meter(form: AnswerForm, body: &[u8], sizes: &[usize]) -> (AnswerFacts, bool) {
    let mut meter = AnswerMeter::new(form);
    for piece in pieces(body, sizes) {
        meter.push(piece);
    }
    let has_output = meter.has_output();
    (meter.finish(), has_output)
}

/// However the body is cut.
#[track_caller]
fn assert_facts(form: AnswerForm, body: &str, expected: &AnswerFacts) {
    for sizes in [&[][..], &[1], &[2], &[3], &[64], &[1000]] {
        let (facts, has_output) = meter(form, body.as_bytes(), sizes);
        assert_eq!(&facts, expected, "{body:.100} in pieces of {sizes:?}");
        assert_eq!(has_output, facts.deltas > 0);
    }
}

#[track_caller]
fn assert_stream(body: &str, expected: &AnswerFacts) {
    assert_facts(AnswerForm::EventStream, body, expected);
    // It has no CR, and no data in several lines.
    for end in ["\r", "\r\n"] {
        let body = body.replace('\n', end);
        assert_facts(AnswerForm::EventStream, &body, expected);
    }
}

fn response(members: &str) -> String {
    format!(r#"{{"id":"resp_1","model":"gpt-5.6",{members}}}"#)
}

fn event(name: &str, response: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",\"response\":{response}}}\n\n")
}

/// What every answer with such a response says.
fn named() -> AnswerFacts {
    AnswerFacts {
        response_id: text("resp_1"),
        model: text("gpt-5.6"),
        ..AnswerFacts::default()
    }
}

fn completed() -> AnswerFacts {
    AnswerFacts {
        service_tier: text("default"),
        usage: Some(COUNTS),
        end: Some(FinalEvent::Completed),
        ..named()
    }
}

fn completed_event() -> String {
    let members = format!(r#""status":"completed","service_tier":"default","usage":{USAGE}"#);
    event("response.completed", &response(&members))
}

#[test]
fn the_form_is_told_by_the_headers() {
    for (headers, expected) in [
        (&[][..], AnswerForm::Opaque),
        (
            &[("content-type", "text/event-stream")],
            AnswerForm::EventStream,
        ),
        (
            &[("content-type", "Text/Event-Stream ; charset=utf-8")],
            AnswerForm::EventStream,
        ),
        (&[("content-type", "application/json")], AnswerForm::Json),
        (
            &[("content-type", "application/problem+JSON; charset=utf-8")],
            AnswerForm::Json,
        ),
        (&[("content-type", "text/html")], AnswerForm::Opaque),
        (&[("content-type", "json")], AnswerForm::Opaque),
        (
            &[
                ("content-type", "application/json"),
                ("content-encoding", "Identity"),
            ],
            AnswerForm::Json,
        ),
        (
            &[
                ("content-type", "application/json"),
                ("content-encoding", ""),
            ],
            AnswerForm::Json,
        ),
        (&[("content-encoding", "gzip")], AnswerForm::Encoded),
        (
            &[
                ("content-type", "text/event-stream"),
                ("content-encoding", "identity, br"),
            ],
            AnswerForm::Encoded,
        ),
        (
            &[
                ("content-encoding", "identity"),
                ("content-encoding", "zstd"),
            ],
            AnswerForm::Encoded,
        ),
    ] {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            map.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(AnswerForm::from_headers(&map), expected, "{headers:?}");
    }
}

#[test]
fn a_document_tells_the_same_as_a_stream() {
    for (status, end) in [
        ("completed", Some(FinalEvent::Completed)),
        ("incomplete", Some(FinalEvent::Incomplete)),
        ("failed", Some(FinalEvent::Failed)),
        ("queued", None),
    ] {
        let members = format!(
            r#""status":"{status}","output":[{{"id":"no","usage":3}}],"usage":{USAGE},"service_tier":"default""#
        );
        let expected = AnswerFacts { end, ..completed() };
        assert_facts(AnswerForm::Json, &response(&members), &expected);
    }
    for (body, error_type) in [
        (
            r#"{"error":{"message":"x","type":"invalid_request_error","param":null,"code":"bad_model"}}"#,
            text("bad_model"),
        ),
        (
            r#"{"error":{"message":"x","type":"invalid_request_error","code":null}}"#,
            text("invalid_request_error"),
        ),
        (
            r#"{"error":{"type":"overloaded","code":429}}"#,
            text("overloaded"),
        ),
        (r#"{"error":"x"}"#, None),
        ("[]", None),
    ] {
        let expected = AnswerFacts {
            error_type,
            ..AnswerFacts::default()
        };
        assert_facts(AnswerForm::Json, body, &expected);
    }
    let members = format!(r#""usage":{USAGE}"#);
    let whole = response(&members);
    let cut = |document: &str, facts: AnswerFacts| {
        let expected = AnswerFacts {
            is_cut_document: true,
            ..facts
        };
        assert_facts(AnswerForm::Json, document, &expected);
    };
    cut(&whole[..whole.len() - 1], named());
    cut("", AnswerFacts::default());
}

#[test]
fn what_is_not_metered_says_so_only_if_it_may_have_had_usage() {
    let body = completed_event();
    assert_facts(AnswerForm::Opaque, &body, &AnswerFacts::default());
    for body in [body.as_str(), ""] {
        let expected = AnswerFacts {
            usage_unreadable: !body.is_empty(),
            is_cut_document: true,
            ..AnswerFacts::default()
        };
        assert_facts(AnswerForm::Encoded, body, &expected);
    }
}

#[test]
fn usage_that_is_not_as_documented_is_unreadable() {
    let counts = |input, cached, output, reasoning| TokenCounts {
        input,
        cached,
        output,
        reasoning,
        cache_write: 0,
    };
    for (usage, expected) in [
        (
            r#"{"input_tokens":1,"output_tokens":2}"#,
            Some(counts(1, 0, 2, 0)),
        ),
        (
            r#"{"input_tokens":1,"output_tokens":2,"input_tokens_details":null,"output_tokens_details":{"reasoning_tokens":null}}"#,
            Some(counts(1, 0, 2, 0)),
        ),
        (
            r#"{"input_tokens":18446744073709551615,"output_tokens":0,"input_tokens_details":{"cached_tokens":5,"x":{"cached_tokens":6}}}"#,
            Some(counts(u64::MAX, 5, 0, 0)),
        ),
        (r#"{"input_tokens":1}"#, None),
        ("{}", None),
        ("7", None),
        ("[]", None),
        (r#"{"input_tokens":1.0,"output_tokens":2}"#, None),
        (r#"{"input_tokens":-1,"output_tokens":2}"#, None),
        (
            r#"{"input_tokens":18446744073709551616,"output_tokens":2}"#,
            None,
        ),
        (r#"{"input_tokens":"1","output_tokens":2}"#, None),
        (
            r#"{"input_tokens":1,"output_tokens":2,"input_tokens_details":[]}"#,
            None,
        ),
        (
            r#"{"input_tokens":1,"output_tokens":2,"input_tokens_details":{"cached_tokens":{}}}"#,
            None,
        ),
    ] {
        let members = format!(r#""status":"completed","usage":{usage}"#);
        let facts = AnswerFacts {
            end: Some(FinalEvent::Completed),
            usage: expected,
            usage_unreadable: expected.is_none(),
            ..named()
        };
        assert_stream(&event("response.completed", &response(&members)), &facts);
        assert_facts(AnswerForm::Json, &response(&members), &facts);
    }
}

#[test]
fn a_text_that_is_too_long_is_treated_as_absent() {
    for (length, is_there) in [(0, false), (1, true), (256, true), (257, false)] {
        let long = "\u{7f}".repeat(length);
        let body = format!(
            r#"{{"id":"{long}","model":"{long}","service_tier":"{long}","error":{{"code":"{long}"}}}}"#
        );
        let there = is_there.then(|| Box::from(&*long));
        let expected = AnswerFacts {
            response_id: there.clone(),
            model: there.clone(),
            service_tier: there.clone(),
            error_type: there,
            ..AnswerFacts::default()
        };
        assert_facts(AnswerForm::Json, &body, &expected);
    }
}

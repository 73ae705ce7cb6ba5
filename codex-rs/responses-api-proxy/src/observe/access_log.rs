//! The access log: one JSON object a line for each request. docs/access-log.schema.json has its shape.
//!
//! Names of fields are those of OpenTelemetry where it has one (HTTP and GenAI semantic conventions). Strings that
//! come from the caller or the upstream are cut at [`LONGEST`] and have no control characters in them.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::inspect::answer::facts::AnswerFacts;
use crate::observe::cost::Cost;
use crate::observe::finished::Finished;
use crate::observe::observer::Observer;
use crate::observe::printable::printable_within;
use crate::observe::timestamp::Rfc3339;

/// The version of the shape. A field that is added does not change it; one that is changed or removed does.
const VERSION: u8 = 1;

/// The longest string that comes from elsewhere, in bytes.
const LONGEST: usize = 256;

#[derive(Serialize)]
struct Line<'a> {
    ts: Rfc3339,
    v: u8,
    id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'a, str>>,
    #[serde(rename = "caller.uid", skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(rename = "caller.user", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(rename = "caller.token", skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(rename = "credential.kind", skip_serializing_if = "Option::is_none")]
    credential_kind: Option<&'static str>,
    #[serde(
        rename = "credential.generation",
        skip_serializing_if = "Option::is_none"
    )]
    credential_generation: Option<u64>,
    #[serde(rename = "http.request.method")]
    method: Cow<'a, str>,
    #[serde(rename = "url.path")]
    path: &'a str,
    #[serde(
        rename = "http.response.status_code",
        skip_serializing_if = "Option::is_none"
    )]
    status: Option<u16>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttfb_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<f64>,
    #[serde(rename = "bytes.request")]
    request_bytes: u64,
    #[serde(rename = "bytes.response")]
    response_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(rename = "openai.request_id", skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    model: Option<Model<'a>>,
}

/// What is said of a request that went to the model.
#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "gen_ai.operation.name")]
    operation: &'static str,
    #[serde(rename = "gen_ai.provider.name")]
    provider: &'static str,
    #[serde(
        rename = "gen_ai.request.model",
        skip_serializing_if = "Option::is_none"
    )]
    requested: Option<Cow<'a, str>>,
    #[serde(
        rename = "gen_ai.response.model",
        skip_serializing_if = "Option::is_none"
    )]
    answered: Option<Cow<'a, str>>,
    #[serde(rename = "gen_ai.response.id", skip_serializing_if = "Option::is_none")]
    response_id: Option<Cow<'a, str>>,
    #[serde(
        rename = "gen_ai.usage.input_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    input: Option<u64>,
    #[serde(
        rename = "gen_ai.usage.cache_read.input_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    cached: Option<u64>,
    #[serde(
        rename = "gen_ai.usage.output_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    output: Option<u64>,
    #[serde(
        rename = "gen_ai.usage.reasoning.output_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    reasoning: Option<u64>,
    #[serde(rename = "usage.unreadable", skip_serializing_if = "is_false")]
    unreadable: bool,
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    #[serde(
        rename = "openai.service_tier",
        skip_serializing_if = "Option::is_none"
    )]
    tier: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(rename = "cost.estimated", skip_serializing_if = "Option::is_none")]
    cost_estimated: Option<bool>,
}

/// Appends the line of one request, its end included.
pub(crate) fn write_line(
    to: &mut Vec<u8>,
    finished: &Finished,
    cost: Option<Cost>,
    observer: &Observer,
) {
    let outcome = &finished.outcome;
    let caller = &finished.caller;
    let method = finished.method.as_ref();
    let line = Line {
        ts: Rfc3339(finished.at),
        v: VERSION,
        id: observer.id(finished.number).to_string(),
        outcome: outcome.name(),
        code: outcome.code(),
        message: outcome.cause().map(shown),
        uid: caller.uid,
        user: caller.uid.and_then(|uid| observer.names().name(uid)),
        token: caller.token.as_deref(),
        credential_kind: finished.credential.map(|credential| credential.kind),
        credential_generation: finished.credential.map(|credential| credential.generation),
        method: method.map_or(Cow::Borrowed("-"), |method| shown(method.as_str())),
        path: finished.path.unwrap_or("-"),
        status: finished.status,
        duration_ms: millis(finished.duration),
        ttfb_ms: finished.first_byte.map(millis),
        ttft_ms: finished.first_output.map(millis),
        request_bytes: finished.request_bytes,
        response_bytes: finished.response_bytes,
        stream: finished.first_byte.map(|_| finished.is_stream),
        request_id: finished.upstream_request_id.as_deref().map(shown),
        model: model(finished, cost),
    };
    let before = to.len();
    // Numbers, strings and truth values cannot fail to serialize, nor can memory to be written to.
    if serde_json::to_writer(&mut *to, &line).is_err() {
        to.truncate(before);
        return;
    }
    to.push(b'\n');
}

fn model(finished: &Finished, cost: Option<Cost>) -> Option<Model<'_>> {
    let is_asked = finished.request_bytes > 0 || finished.first_byte.is_some();
    let answer = finished.answer.as_ref();
    let usage = answer.and_then(|answer| answer.usage);
    let of_answer = |of: fn(&AnswerFacts) -> Option<&str>| answer.and_then(of).map(shown);
    is_asked.then(|| Model {
        operation: "chat",
        provider: "openai",
        requested: finished.request_model.as_deref().map(shown),
        answered: of_answer(|answer| answer.model.as_deref()),
        response_id: of_answer(|answer| answer.response_id.as_deref()),
        input: usage.map(|usage| usage.input),
        cached: usage.map(|usage| usage.cached),
        output: usage.map(|usage| usage.output),
        reasoning: usage.map(|usage| usage.reasoning),
        unreadable: answer.is_some_and(|answer| answer.usage_unreadable),
        error: of_answer(|answer| answer.error_type.as_deref()),
        tier: of_answer(|answer| answer.service_tier.as_deref()),
        cost_usd: cost.map(|cost| nano_dollars(cost.usd)),
        cost_estimated: cost.map(|cost| cost.is_estimated),
    })
}

/// With microseconds, which is as exact as anybody needs.
fn millis(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).map_or(time.as_secs_f64() * 1e6, f64::from);
    micros.round() / 1e3
}

/// Without the digits that binary fractions add to a sum of decimal ones.
fn nano_dollars(usd: f64) -> f64 {
    (usd * 1e9).round() / 1e9
}

fn shown(text: &str) -> Cow<'_, str> {
    printable_within(text, LONGEST)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::{Value, json};

    use crate::observe::outcome::Outcome;

    fn line(finished: &Finished, cost: Option<Cost>) -> Value {
        let (observer, _queue) = Observer::for_test();
        let mut bytes = b"before\n".to_vec();
        write_line(&mut bytes, finished, cost, &observer);
        let text = String::from_utf8(bytes).unwrap();
        let line = text.strip_prefix("before\n").unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let mut line: Value = serde_json::from_str(line).unwrap();
        let id = line["id"].take();
        assert!(id.as_str().unwrap().ends_with("-17"), "{id}");
        line
    }

    #[test]
    fn a_line_has_the_names_and_units_of_the_schema() {
        let cost = Cost {
            usd: 0.021_000_000_000_000_004,
            is_estimated: false,
        };
        let expected = json!({
            "ts": "2026-11-28T14:03:07.123Z",
            "v": 1,
            "id": null,
            "outcome": "complete",
            "caller.uid": 1001,
            "caller.token": "ci",
            "http.request.method": "POST",
            "url.path": "/v1/responses",
            "http.response.status_code": 200,
            "duration_ms": 3200.4,
            "ttfb_ms": 300.0,
            "ttft_ms": 410.5,
            "bytes.request": 40_000,
            "bytes.response": 5_000,
            "stream": true,
            "openai.request_id": "req_1",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5.6",
            "gen_ai.response.model": "gpt-5.6",
            "gen_ai.response.id": "resp_1",
            "gen_ai.usage.input_tokens": 10_100,
            "gen_ai.usage.cache_read.input_tokens": 8_200,
            "gen_ai.usage.output_tokens": 312,
            "gen_ai.usage.reasoning.output_tokens": 64,
            "openai.service_tier": "default",
            "cost_usd": 0.021,
            "cost.estimated": false,
        });
        assert_eq!(line(&Finished::for_test(), Some(cost)), expected);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let refused = Finished {
            outcome: Outcome::Refused {
                code: "bad_request",
                cause: "not HTTP".to_owned(),
            },
            method: None,
            path: None,
            status: Some(400),
            first_byte: None,
            first_output: None,
            request_bytes: 0,
            request_model: None,
            upstream_request_id: None,
            answer: None,
            ..Finished::for_test()
        };
        let line = line(&refused, None);
        let expected = json!({
            "ts": "2026-11-28T14:03:07.123Z",
            "v": 1,
            "id": null,
            "outcome": "refused",
            "code": "bad_request",
            "message": "not HTTP",
            "caller.uid": 1001,
            "caller.token": "ci",
            "http.request.method": "-",
            "url.path": "-",
            "http.response.status_code": 400,
            "duration_ms": 3200.4,
            "bytes.request": 0,
            "bytes.response": 5_000,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn strings_from_elsewhere_are_short_and_have_no_control_characters() {
        let long = "\u{1b}[2J".to_owned() + &"ü".repeat(500);
        let finished = Finished {
            request_model: Some(long.clone()),
            upstream_request_id: Some(long),
            method: Some(http::Method::from_bytes(&[b'X'; 2000]).unwrap()),
            ..Finished::for_test()
        };
        let line = line(&finished, None);
        for name in [
            "gen_ai.request.model",
            "openai.request_id",
            "http.request.method",
        ] {
            let text = line[name].as_str().unwrap();
            assert!(text.len() <= LONGEST && text.ends_with("..."), "{text}");
            assert!(!text.contains('\u{1b}'));
        }
    }
}

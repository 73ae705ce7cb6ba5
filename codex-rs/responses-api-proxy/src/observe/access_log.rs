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

/// Appends the line of one request, its end included.
pub(crate) fn write_line(
    to: &mut Vec<u8>,
    finished: &Finished,
    cost: Option<Cost>,
    observer: &Observer,
) {
    let before = to.len();
    let mut line = Line {
        to,
        has_failed: false,
    };
    write_fields(&mut line, finished, cost, observer);
    if line.has_failed {
        to.truncate(before);
    } else {
        to.extend_from_slice(b"}\n");
    }
}

/// A line under way. Names of fields, and strings without anything to escape, are written as they are: a serializer's search
/// byte by byte took as long as all the rest.
struct Line<'a> {
    to: &'a mut Vec<u8>,
    /// Numbers, strings and truth values cannot fail to serialize, nor can memory to be written to.
    has_failed: bool,
}

impl Line<'_> {
    fn name(&mut self, name: &'static str) {
        self.to.extend_from_slice(b",\"");
        self.to.extend_from_slice(name.as_bytes());
        self.to.extend_from_slice(b"\":");
    }

    fn value(&mut self, value: &impl Serialize) {
        self.has_failed |= serde_json::to_writer(&mut *self.to, value).is_err();
    }

    fn add(&mut self, name: &'static str, value: &impl Serialize) {
        self.name(name);
        self.value(value);
    }

    fn add_known(&mut self, name: &'static str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn add_text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        // Without an early end, so that it is done in vectors.
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            self.to.push(b'"');
            self.to.extend_from_slice(text.as_bytes());
            self.to.push(b'"');
        } else {
            self.value(&text);
        }
    }

    fn add_known_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.add_text(name, text);
        }
    }

    /// What comes from elsewhere.
    fn add_shown(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.add_text(name, &shown(text));
        }
    }

    /// In milliseconds with microseconds, which is as exact as anybody needs.
    fn add_millis(&mut self, name: &'static str, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.add(name, &(micros / 1_000));
        let digit = |unit: u64| b'0' + (micros / unit % 10) as u8;
        let fraction = [b'.', digit(100), digit(10), digit(1)];
        let zeros = fraction.iter().rev().take_while(|&&digit| digit == b'0');
        let length = (fraction.len() - zeros.count()).max(2);
        self.to
            .extend_from_slice(fraction.get(..length).unwrap_or_default());
    }
}

fn write_fields(line: &mut Line<'_>, finished: &Finished, cost: Option<Cost>, observer: &Observer) {
    let outcome = &finished.outcome;
    let caller = &finished.caller;
    let user = caller.uid.and_then(|uid| observer.names().name(uid));
    line.to.extend_from_slice(b"{\"ts\":\"");
    line.to.extend_from_slice(&Rfc3339(finished.at).to_ascii());
    line.to.push(b'"');
    line.add("v", &VERSION);
    line.add("id", &observer.id(finished.number));
    line.add_text("outcome", outcome.name());
    line.add_known_text("code", outcome.code());
    line.add_shown("message", outcome.cause());
    line.add_known("caller.uid", caller.uid.as_ref());
    line.add_known_text("caller.user", user);
    line.add_known_text("caller.token", caller.token.as_deref());
    if let Some(credential) = &finished.credential {
        line.add_text("credential.kind", credential.kind);
        line.add("credential.generation", &credential.generation);
    }
    let method = finished.method.as_ref();
    line.add_shown(
        "http.request.method",
        Some(method.map_or("-", |method| method.as_str())),
    );
    line.add_text("url.path", finished.path.unwrap_or("-"));
    line.add_known("http.response.status_code", finished.status.as_ref());
    line.add_millis("duration_ms", finished.duration);
    for (name, after) in [
        ("ttfb_ms", finished.first_byte),
        ("ttft_ms", finished.first_output),
    ] {
        if let Some(after) = after {
            line.add_millis(name, after);
        }
    }
    line.add("bytes.request", &finished.request_bytes);
    line.add("bytes.response", &finished.response_bytes);
    if finished.first_byte.is_some() {
        line.add("stream", &finished.is_stream);
    }
    line.add_shown("openai.request_id", finished.upstream_request_id.as_deref());
    if finished.request_bytes > 0 || finished.first_byte.is_some() {
        write_model(line, finished, cost);
    }
}

/// What is said of a request that went to the model.
fn write_model(line: &mut Line<'_>, finished: &Finished, cost: Option<Cost>) {
    let answer = finished.answer.as_ref();
    let of_answer = |of: fn(&AnswerFacts) -> Option<&str>| answer.and_then(of);
    line.add_text("gen_ai.operation.name", "chat");
    line.add_text("gen_ai.provider.name", "openai");
    line.add_shown("gen_ai.request.model", finished.request_model.as_deref());
    line.add_shown(
        "gen_ai.response.model",
        of_answer(|answer| answer.model.as_deref()),
    );
    line.add_shown(
        "gen_ai.response.id",
        of_answer(|answer| answer.response_id.as_deref()),
    );
    if let Some(usage) = answer.and_then(|answer| answer.usage) {
        line.add("gen_ai.usage.input_tokens", &usage.input);
        line.add("gen_ai.usage.cache_read.input_tokens", &usage.cached);
        line.add("gen_ai.usage.output_tokens", &usage.output);
        line.add("gen_ai.usage.reasoning.output_tokens", &usage.reasoning);
    }
    if answer.is_some_and(|answer| answer.usage_unreadable) {
        line.add("usage.unreadable", &true);
    }
    line.add_shown(
        "error.type",
        of_answer(|answer| answer.error_type.as_deref()),
    );
    line.add_shown(
        "openai.service_tier",
        of_answer(|answer| answer.service_tier.as_deref()),
    );
    if let Some(cost) = cost {
        line.add("cost_usd", &nano_dollars(cost.usd));
        line.add("cost.estimated", &cost.is_estimated);
    }
}

/// Without the digits that binary fractions add to a sum of decimal ones.
fn nano_dollars(usd: f64) -> f64 {
    (usd * 1e9).round() / 1e9
}

fn shown(text: &str) -> Cow<'_, str> {
    printable_within(text, LONGEST)
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
    fn times_have_microseconds_and_no_zeros_behind_them() {
        for (micros, expected) in [
            (0, "0.0"),
            (1, "0.001"),
            (1_050, "1.05"),
            (20_300, "20.3"),
            (90 * 60_000_000, "5400000.0"),
        ] {
            let mut to = Vec::new();
            let mut line = Line {
                to: &mut to,
                has_failed: false,
            };
            line.add_millis("ms", Duration::from_micros(micros));
            assert_eq!(to, format!(",\"ms\":{expected}").as_bytes());
        }
    }

    #[test]
    fn strings_that_need_it_are_escaped() {
        let names = [r#"gpt"5"#, r"gpt\5", "gpt\u{fc}5", "", "gpt-5"];
        for name in names {
            let finished = Finished {
                request_model: Some(name.to_owned()),
                ..Finished::for_test()
            };
            assert_eq!(line(&finished, None)["gen_ai.request.model"], name);
        }
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

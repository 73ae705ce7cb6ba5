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
mod tests;

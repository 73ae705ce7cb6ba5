//! Reads a final event that is short and is there as a whole, in one go and without a copy: what most answers end in that
//! do not repeat long instructions and tools. Pure.
//!
//! It says what [`JsonReader`](crate::inspect::json::JsonReader) would say of the same bytes, or nothing.

use serde::Deserialize;

use super::facts::TokenCounts;
use super::response::{Response, Usage, text_of};
use crate::inspect::json::{MAX_DEPTH, MAX_NUMBER};

/// A number that is longer than [`MAX_NUMBER`] has one such piece of digits in it at least, where pieces begin at multiples.
const DIGITS: usize = MAX_NUMBER / 2;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    response: Members<'a>,
}

/// Members twice, of other types, and strings with escapes are errors: all that is rare.
#[derive(Deserialize)]
struct Members<'a> {
    id: Option<&'a str>,
    model: Option<&'a str>,
    service_tier: Option<&'a str>,
    #[serde(borrow)]
    error: Option<Error<'a>>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Error<'a> {
    code: Option<&'a str>,
    r#type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    reason: Option<&'a str>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

/// What the data of a final event says; `None` if it has to be read with care.
pub(super) fn read(data: &[u8]) -> Option<Response> {
    let data = str::from_utf8(data).ok()?;
    let (pieces, _) = data.as_bytes().as_chunks::<DIGITS>();
    let is_of_number = |byte: u8| matches!(byte, b'+'..=b'9' | b'e' | b'E');
    let is_long_number = |piece: &[u8; DIGITS]| piece.iter().all(|&byte| is_of_number(byte));
    // As `{` is `[` with one more bit.
    let opening = |byte: &u8| byte | 0x20 == b'{';
    let openings = data.bytes().filter(opening).count();
    if data.contains('\\') || openings > MAX_DEPTH / 2 || pieces.iter().any(is_long_number) {
        return None;
    }
    let Event { response } = serde_json::from_str(data).ok()?;
    let usage = response.usage.map(|usage| {
        let input = usage.input_tokens_details.unwrap_or_default();
        let output = usage.output_tokens_details.unwrap_or_default();
        TokenCounts {
            input: usage.input_tokens,
            cached: input.cached_tokens.unwrap_or(0),
            cache_write: input.cache_write_tokens.unwrap_or(0),
            output: usage.output_tokens,
            reasoning: output.reasoning_tokens.unwrap_or(0),
        }
    });
    let (code, r#type) = response
        .error
        .map_or((None, None), |it| (it.code, it.r#type));
    let reason = response.incomplete_details.and_then(|it| it.reason);
    let text = |text: Option<&str>| text.and_then(text_of);
    Some(Response {
        id: text(response.id),
        model: text(response.model),
        service_tier: text(response.service_tier),
        error_code: text(code),
        error_type: text(r#type),
        reason: text(reason),
        usage: usage.map_or_else(Usage::default, Usage::of),
        ..Response::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::inspect::answer::{AnswerForm, AnswerMeter};

    const PLAIN: &str = r#"{"type":"response.failed","response":{"id":"resp_1","model":"gpt-5","service_tier":"flex","x":[{"id":2}],"error":{"code":"c","type":"t"},"incomplete_details":null,"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"total_tokens":12}}}"#;

    /// Whether it was read in one go, having seen that it comes to the same piece by piece.
    fn is_read(data: &[u8]) -> bool {
        let event = [b"event: response.failed\ndata: ", data, b"\n\n"].concat();
        let facts = |size| {
            let mut meter = AnswerMeter::new(AnswerForm::EventStream);
            event.chunks(size).for_each(|piece| meter.push(piece));
            meter.finish()
        };
        assert_eq!(facts(event.len()), facts(7), "{}", data.escape_ascii());
        read(data).is_some()
    }

    #[test]
    fn what_is_plain_is_read_in_one_go_and_says_the_same() {
        assert!(is_read(PLAIN.as_bytes()));
        let digits = "1".repeat(MAX_NUMBER);
        for (part, other) in [
            ("\"resp_1\"", "null"),
            ("\"resp_1\"", "\"\""),
            ("\"resp_1\"", &format!("\"{}\"", "r".repeat(300))),
            ("\"usage\":", "\"usage\":null,\"y\":"),
            ("\"error\":", "\"error\":null,\"y\":"),
            ("{\"cached_tokens\":4}", "null"),
            ("\"flex\"", "\"fl\u{e9}x\""),
            (",\"x\":", " ,\t\"x\" : "),
        ] {
            assert!(is_read(PLAIN.replace(part, other).as_bytes()), "{other}");
        }
        for (part, other) in [
            ("\"resp_1\"", "\"resp\\u005f1\""),
            ("\"resp_1\"", "1"),
            ("\"id\":2", "\"id\":\"\\ud800\""),
            ("\"id\":\"resp_1\"", "\"id\":\"a\",\"id\":\"b\""),
            ("\"input_tokens\":10", "\"input_tokens\":10.0"),
            ("\"input_tokens\":10", "\"input_tokens\":-1"),
            (
                "\"input_tokens\":10",
                "\"input_tokens\":99999999999999999999",
            ),
            ("\"input_tokens\":10,", ""),
            ("\"output_tokens\":2", "\"output_tokens\":null"),
            ("{\"cached_tokens\":4}", "4"),
            ("\"t\"", "{}"),
            ("\"x\":", &format!("\"y\":{digits},\"x\":")),
            ("\"x\":", &format!("\"y\":{digits}1.5e-7,\"x\":")),
            (
                "\"x\":",
                &format!("\"y\":{}1{},\"x\":", "[".repeat(300), "]".repeat(300)),
            ),
            ("}}}", "}}"),
            ("}}}", "}}},"),
            ("{\"type\"", "[{\"type\""),
            ("\"response\":", "\"response\":null,\"y\":"),
        ] {
            assert!(!is_read(PLAIN.replace(part, other).as_bytes()), "{other}");
        }
        let mut invalid = PLAIN.as_bytes().to_vec();
        let at = PLAIN.find("flex").unwrap();
        invalid[at] = 0xff;
        assert!(!is_read(&invalid));
        assert!(!is_read(b""));
    }
}

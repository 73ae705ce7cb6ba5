//! What stands in a dump before the body. Pure.
//!
//! Of headers the names stay, and the values of those that are listed here. A list of what is secret would be short of
//! the next one.

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::access::policy::MASKED_UPGRADE;
use crate::config::paths::RESPONSES;
use crate::credential::redact::Redactor;
use crate::dumps::token::CallerToken;

/// In the place of a value that is not shown.
const REDACTED: &str = "[REDACTED]";

/// Headers whose values are shown: of HTTP itself, of OpenAI's limits, and of the libraries that callers use.
const SHOWN: [&str; 43] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "openai-beta",
    "openai-processing-ms",
    "openai-version",
    "originator",
    "retry-after",
    "retry-after-ms",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "x-content-type-options",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-request-id",
    "x-should-retry",
    "x-stainless-arch",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-retry-count",
];

#[derive(Serialize)]
struct RequestHead<'a> {
    method: &'static str,
    url: &'static str,
    headers: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct ResponseHead<'a> {
    status: u16,
    headers: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    name: &'a str,
    value: &'a str,
}

/// What is looked for where values are shown.
pub(super) struct Secrets<'a> {
    /// Knows the key.
    pub(super) redactor: &'a Redactor,
    pub(super) token: &'a CallerToken,
}

impl Secrets<'_> {
    fn are_in(&self, text: &str) -> bool {
        self.redactor.is_in(text.as_bytes()) || self.token.is_in(text.as_bytes())
    }

    fn field<'a>(&self, name: &'a HeaderName, value: &'a http::HeaderValue) -> Field<'a> {
        let name = match name.as_str() {
            MASKED_UPGRADE => "upgrade",
            name => name,
        };
        let value = value.to_str().ok();
        let value = value.filter(|value| SHOWN.contains(&name) && !self.are_in(value));
        Field {
            name: if self.are_in(name) { REDACTED } else { name },
            value: value.unwrap_or(REDACTED),
        }
    }

    fn fields<'a>(&self, headers: &'a HeaderMap) -> Vec<Field<'a>> {
        headers
            .iter()
            .map(|(name, value)| self.field(name, value))
            .collect()
    }
}

/// Of a request that is forwarded, with the headers as the caller sent them, up to its body.
pub(super) fn of_request(headers: &HeaderMap, secrets: &Secrets<'_>) -> Vec<u8> {
    up_to_body(&RequestHead {
        method: "POST",
        url: RESPONSES,
        headers: secrets.fields(headers),
    })
}

/// Of an answer, with the headers as the upstream sent them, up to its body.
pub(super) fn of_response(
    status: StatusCode,
    headers: &HeaderMap,
    secrets: &Secrets<'_>,
) -> Vec<u8> {
    up_to_body(&ResponseHead {
        status: status.as_u16(),
        headers: secrets.fields(headers),
    })
}

fn up_to_body(head: &impl Serialize) -> Vec<u8> {
    // Numbers and strings cannot fail to serialize.
    let mut text = serde_json::to_vec_pretty(head).unwrap_or_default();
    while text.last().is_some_and(|&byte| byte != b']') {
        text.pop();
    }
    text.extend_from_slice(b",\n  \"body\": ");
    text
}

/// What stands behind the body: of one that is not all of it this is said, which the peer does not know of.
pub(super) const fn behind_body(is_whole: bool) -> &'static [u8] {
    if is_whole {
        b"\n}\n"
    } else {
        b",\n  \"complete\": false\n}\n"
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    use crate::credential::known_keys::KnownKeys;

    use super::*;

    const KEY: &[u8] = b"sk-Secret-0123456789";

    fn written(headers: &[(&'static str, &'static str)]) -> serde_json::Value {
        let known = KnownKeys::for_tests(KEY);
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect();
        let token = CallerToken::of(&headers, true);
        let redactor = Redactor::new(known, None);
        let secrets = Secrets {
            redactor: &redactor,
            token: &token,
        };
        let mut text = of_request(&headers, &secrets);
        text.extend_from_slice(b"{}");
        text.extend_from_slice(behind_body(true));
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn a_head_without_headers_is_one() {
        let expected = serde_json::json!({"method": "POST", "url": "/v1/responses", "headers": [], "body": {}});
        assert_eq!(written(&[]), expected);
    }

    #[test]
    fn the_values_that_are_shown_are_those_that_are_listed() {
        let shown = |name: &'static str, value: &'static str| {
            let written = written(&[
                (name, value),
                (AUTHORIZATION.as_str(), "Bearer of-alice-12"),
            ]);
            let field = written["headers"][0].clone();
            (
                field["name"].as_str().unwrap().to_owned(),
                field["value"].as_str().unwrap().to_owned(),
            )
        };
        let same = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(shown("user-agent", "curl"), same("user-agent", "curl"));
        assert_eq!(shown(MASKED_UPGRADE, "h2c"), same("upgrade", "h2c"));
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("x-new", "1"),
            ("user-agent", "sk-Secret-0123456789"),
            ("user-agent", "curl of-alice-12"),
            ("user-agent", "a\u{e9}"),
        ] {
            assert_eq!(shown(name, value), same(name, REDACTED));
        }
        // Names come in lower case.
        let key = shown("x-sk-secret-0123456789", "1");
        assert_eq!(key, same(REDACTED, REDACTED));
    }
}

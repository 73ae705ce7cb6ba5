//! What the head of a request says that a policy goes by. Pure.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::refusal::{Reason, Refusal};

/// The field by which a request asks for agents of which each spends.
const BETA: HeaderName = HeaderName::from_static("openai-beta");

/// What follows in it.
const MULTI_AGENT: &[u8] = b"responses_multi_agent";

/// A body is read as JSON in UTF-8, and so it has to be by the upstream.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(super) fn refuse_other_types(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let is_json = |value: &HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        let mut parts = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let is_utf_8 = |part: &[u8]| {
            part.is_empty() || matches!(part, b"charset=utf-8" | b"charset=\"utf-8\"")
        };
        parts.next() == Some(b"application/json") && parts.all(is_utf_8)
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if is_json(value) => Ok(()),
        _ => Err(Refusal::because(
            Reason::RequestNotAllowed,
            "the proxy's policy is about JSON: send Content-Type: application/json, without another charset than utf-8"
                .to_owned(),
        )),
    }
}

/// Whether a request asks for several agents, each of which spends (`OpenAI-Beta: responses_multi_agent=v1`).
pub(super) fn asks_for_agents(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(&BETA).iter();
    values.any(|value| memchr::memmem::find(value.as_bytes(), MULTI_AGENT).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_asked_for_among_other_things() {
        for (values, expected) in [
            (&["responses_multi_agent=v1"][..], true),
            (&["assistants=v2, responses_multi_agent=v1"], true),
            (&["assistants=v2", "responses_multi_agent=v2"], true),
            (&["assistants=v2"], false),
            (&[], false),
        ] {
            let values = values
                .iter()
                .map(|value| (BETA, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                headers.append(name, value);
            }
            assert_eq!(asks_for_agents(&headers), expected);
        }
    }
}

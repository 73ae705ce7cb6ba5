//! What a client has to change that asked for a path that is not served: most ask for a known one of OpenAI's, or
//! have a base URL that is not quite right. Pure.
//!
//! Nothing is decided here: whatever the hint, the request has been refused.

use http::Uri;

use crate::config::paths::RESPONSES;

/// Names the setting of each client that asks for Chat Completions unless told otherwise: docs/clients.md has
/// them with the rest.
const CHAT: &str = "Use the Responses API instead of Chat Completions: responses.create in OpenAI's SDKs, \
     use_responses_api=True in langchain-openai, openai-responses:MODEL in pydantic-ai, openai.responses(MODEL) in \
     the AI SDK, openai/responses/MODEL in litellm, npm @ai-sdk/openai in opencode, --responses in llm; \
     see docs/clients.md";
const QUERY: &str =
    "The path may have no query: leave it out, or have it set in --upstream-url, for every request";
const BASE_URL: &str =
    "The base URL of a client has to be http://HOST:PORT/v1, to which it adds /responses";
const ABSOLUTE: &str = "This is not a proxy for HTTP_PROXY or HTTPS_PROXY: set the client's base URL to \
     http://HOST:PORT/v1";
const STORED: &str = "Responses cannot be retrieved, cancelled, deleted or continued in the background: ask for the \
     answer itself, with stream=true if it takes long and without background=true";
const COMPACT: &str =
    "Only answers can be asked for: have the client compact its history and count tokens itself";
const CONVERSATIONS: &str = "Conversations are not kept through this proxy: send what was said before in input, or \
     previous_response_id";
const REALTIME: &str = "Realtime sessions and WebSockets cannot be forwarded: use POST /v1/responses over HTTP, with \
     stream=true";
const MODELS: &str =
    "Models cannot be listed here: name the model in the client's settings, without looking it up";
const OTHER: &str =
    "This part of the API is not forwarded: use a key of your own for it, or do without";

/// The other parts of OpenAI's API that a client may ask for, by the first segment behind `/v1`.
const OTHER_PARTS: [&str; 16] = [
    "assistants",
    "audio",
    "batches",
    "chatkit",
    "containers",
    "embeddings",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "moderations",
    "organization",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

/// A sentence without a full stop, or nothing for a path that nobody knows.
pub(super) fn hint(uri: &Uri) -> Option<&'static str> {
    if uri.authority().is_some() {
        return Some(ABSOLUTE);
    }
    let path = uri.path();
    if path == RESPONSES {
        return uri.query().map(|_| QUERY);
    }
    // `//v1/responses/` and the like: whoever joined two parts of an address had a slash too many, or `/v1` twice or
    // not at all.
    let mut segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let versions = segments.iter().take_while(|&&segment| segment == "v1");
    segments.drain(..versions.count());
    match *segments.as_slice() {
        [] | ["responses"] => Some(BASE_URL),
        ["chat", "completions", ..] | ["completions"] => Some(CHAT),
        ["responses", "compact" | "input_tokens"] => Some(COMPACT),
        ["responses", ..] => Some(STORED),
        ["conversations", ..] => Some(CONVERSATIONS),
        ["realtime", ..] => Some(REALTIME),
        ["models", ..] => Some(MODELS),
        [part, ..] if OTHER_PARTS.contains(&part) => Some(OTHER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Option<&'static str> {
        hint(&target.parse().unwrap())
    }

    #[test]
    fn a_known_path_has_a_hint_of_its_own() {
        for (targets, expected) in [
            (
                &[
                    "/v1/chat/completions",
                    "/chat/completions",
                    "/v1/v1/chat/completions",
                    "/v1/completions",
                ][..],
                CHAT,
            ),
            (&["/v1/responses?", "/v1/responses?api-version=2"], QUERY),
            (
                &[
                    "/",
                    "/v1",
                    "/v1/",
                    "/responses",
                    "/v1/v1/responses",
                    "//v1/responses",
                    "/v1//responses",
                    "/v1/responses/",
                ],
                BASE_URL,
            ),
            (
                &[
                    "http://127.0.0.1/v1/responses",
                    "http://api.openai.com/v1/models",
                ],
                ABSOLUTE,
            ),
            (
                &[
                    "/v1/responses/resp_1",
                    "/v1/responses/resp_1/cancel",
                    "/v1/responses/resp_1?stream=true",
                ],
                STORED,
            ),
            (
                &["/v1/responses/compact", "/v1/responses/input_tokens"],
                COMPACT,
            ),
            (
                &[
                    "/v1/conversations",
                    "/v1/conversations/conv_1/items?limit=2",
                ],
                CONVERSATIONS,
            ),
            (
                &[
                    "/v1/realtime",
                    "/v1/realtime?model=x",
                    "/v1/realtime/sessions",
                ],
                REALTIME,
            ),
            (&["/v1/models", "/models", "/v1/models/gpt-5"], MODELS),
            (
                &[
                    "/v1/embeddings",
                    "/v1/files/file_1/content",
                    "/v1/audio/speech",
                ],
                OTHER,
            ),
        ] {
            for target in targets {
                assert_eq!(of(target), Some(expected), "{target}");
            }
        }
    }

    #[test]
    fn what_is_not_known_or_merely_looks_alike_has_none() {
        for target in [
            "/shutdown",
            "/v1/%72esponses",
            "/V1/responses",
            "/v1/Responses",
            "/v1/responses;x",
            "/v1/../v1/responses",
            "/v1/chat",
            "/v1/modelsx",
            "/v2/responses",
            "*",
        ] {
            assert_eq!(of(target), None, "{target}");
        }
    }

    #[test]
    fn the_parts_are_sorted_and_each_is_one_segment() {
        assert!(OTHER_PARTS.is_sorted());
        assert!(OTHER_PARTS.iter().all(|part| !part.contains('/')));
    }
}

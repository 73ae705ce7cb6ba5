//! What kind of body an answer has, by its head.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use memchr::memchr;

/// What kind of body an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// `text/event-stream`.
    EventStream,
    /// `application/json`, or another type that ends in `+json`.
    Json,
    /// Compressed, although nobody asked for that: it may well have usage, which cannot be read.
    Encoded,
    /// Of another type, or of none. It has no usage.
    Opaque,
}

impl AnswerForm {
    /// By an answer's `Content-Encoding` and `Content-Type`.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let encodings = headers.get_all(CONTENT_ENCODING).iter();
        let is_encoded = encodings
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        if is_encoded {
            return Self::Encoded;
        }
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Self::Opaque;
        };
        let value = value.as_bytes();
        let end = memchr(b';', value).unwrap_or(value.len());
        let essence = value.get(..end).unwrap_or(value).trim_ascii();
        let suffix = essence.last_chunk::<5>();
        if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::EventStream
        } else if essence.eq_ignore_ascii_case(b"application/json")
            || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
        {
            Self::Json
        } else {
            Self::Opaque
        }
    }
}

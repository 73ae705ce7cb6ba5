//! What servers say went wrong, in an event or as the body of an answer.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::events::lenient::text;
use crate::terminal::printable::{MAX_NAME, excerpt};
use crate::transport::redact::Redactor;

/// How much of a server's sentence is shown, in characters.
pub(crate) const MAX_MESSAGE: usize = 1000;

/// What the server says went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ServerError {
    /// A word; some servers send a number.
    #[serde(default, deserialize_with = "text")]
    pub(crate) code: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(crate) kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) message: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.message, &self.code, &self.kind) {
            (Some(message), Some(code), _) => {
                let (message, code) = (excerpt(message, MAX_MESSAGE), excerpt(code, MAX_NAME));
                write!(f, "{message} ({code})")
            }
            (Some(message), None, _) => f.write_str(&excerpt(message, MAX_MESSAGE)),
            (None, Some(code), _) => f.write_str(&excerpt(code, MAX_NAME)),
            (None, None, Some(kind)) => f.write_str(&excerpt(kind, MAX_NAME)),
            (None, None, None) => f.write_str("no reason given"),
        }
    }
}

/// The fields are in the event itself, or below `error`.
pub(crate) fn read_error(data: &str) -> Result<ServerError, serde_json::Error> {
    #[derive(Deserialize)]
    struct Outer {
        error: Option<ErrorPayload>,
    }
    let Ok(Outer {
        error: Some(payload),
    }) = serde_json::from_str(data)
    else {
        return serde_json::from_str(data);
    };
    match payload {
        ErrorPayload::Fields(error) => Ok(error),
        // It says nothing that a message beside it does not.
        ErrorPayload::Sentence(sentence) => {
            let mut error: ServerError = serde_json::from_str(data).unwrap_or_default();
            error.message.get_or_insert(sentence);
            Ok(error)
        }
    }
}

/// What is below `error`: some servers only have a sentence.
#[derive(Debug)]
pub(crate) enum ErrorPayload {
    Fields(ServerError),
    Sentence(String),
}

impl ServerError {
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        for text in [&mut self.code, &mut self.kind, &mut self.message] {
            redactor.clean_in(text);
        }
    }

    /// Whether the same request would fail in the same way: there is no more quota, the question is too long or
    /// not allowed, or something in it is wrong. What is not known may pass.
    pub(crate) fn is_final(&self) -> bool {
        let words = [&self.code, &self.kind].into_iter().flatten();
        words.map(String::as_str).any(|word| {
            FINAL.contains(&word)
                || FINAL_BEGINS.iter().any(|begin| word.starts_with(begin))
                || FINAL_ENDS.iter().any(|end| word.ends_with(end))
        })
    }
}

/// Codes and types after which asking again is of no use: those that Codex does not ask again after either,
/// and those of the API's reference that name a part of the request.
const FINAL: [&str; 16] = [
    "authentication_error",
    "billing_hard_limit_reached",
    "context_length_exceeded",
    "empty_image_file",
    "failed_to_download_image",
    "insufficient_quota",
    "model_not_found",
    "not_found_error",
    "permission_error",
    "server_is_overloaded",
    "string_above_max_length",
    "unsupported_image_media_type",
    "unsupported_parameter",
    "unsupported_value",
    "usage_limit_reached",
    "usage_not_included",
];
const FINAL_BEGINS: [&str; 2] = ["image_", "invalid_"];
const FINAL_ENDS: [&str; 3] = ["_policy", "_policy_violation", "_not_supported"];

impl ErrorPayload {
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        match self {
            Self::Fields(error) => error.redact(redactor),
            Self::Sentence(sentence) => redactor.clean_owned(sentence),
        }
    }
}

impl From<ErrorPayload> for ServerError {
    fn from(payload: ErrorPayload) -> Self {
        match payload {
            ErrorPayload::Fields(error) => error,
            ErrorPayload::Sentence(sentence) => Self {
                message: Some(sentence),
                ..Self::default()
            },
        }
    }
}

impl<'de> Deserialize<'de> for ErrorPayload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ErrorPayload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error or a sentence")
            }

            fn visit_str<E: de::Error>(self, sentence: &str) -> Result<ErrorPayload, E> {
                Ok(ErrorPayload::Sentence(sentence.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<ErrorPayload, E> {
                Ok(ErrorPayload::Fields(ServerError::default()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ErrorPayload, E> {
                Ok(ErrorPayload::Sentence(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ErrorPayload, E> {
                Ok(ErrorPayload::Sentence(number.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<ErrorPayload, A::Error> {
                ServerError::deserialize(MapAccessDeserializer::new(from)).map(ErrorPayload::Fields)
            }
        }
        from.deserialize_any(Either)
    }
}

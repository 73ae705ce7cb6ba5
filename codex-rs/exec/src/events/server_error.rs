//! What servers say went wrong, in an event or as the body of an answer.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::terminal::printable::{MAX_NAME, excerpt};

/// How much of a server's sentence is shown, in characters.
pub(crate) const MAX_MESSAGE: usize = 1000;

/// What the server says went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ServerError {
    pub(crate) code: Option<Code>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) message: Option<String>,
}

/// A code is a word; some servers send a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Code;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a number")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Code, E> {
                Ok(Code(word.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Code, E> {
                Ok(Code(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Code, E> {
                Ok(Code(number.to_string()))
            }
        }
        from.deserialize_any(Word)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.message, &self.code, &self.kind) {
            (Some(message), Some(code), _) => {
                let (message, code) = (excerpt(message, MAX_MESSAGE), excerpt(&code.0, MAX_NAME));
                write!(f, "{message} ({code})")
            }
            (Some(message), None, _) => f.write_str(&excerpt(message, MAX_MESSAGE)),
            (None, Some(code), _) => f.write_str(&excerpt(&code.0, MAX_NAME)),
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

            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<ErrorPayload, A::Error> {
                ServerError::deserialize(MapAccessDeserializer::new(from)).map(ErrorPayload::Fields)
            }
        }
        from.deserialize_any(Either)
    }
}

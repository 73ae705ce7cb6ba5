//! What servers say went wrong, in an event or as the body of an answer.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

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
            (Some(message), Some(code), _) => write!(f, "{message} ({})", code.0),
            (Some(message), None, _) => f.write_str(message),
            (None, Some(code), _) => f.write_str(&code.0),
            (None, None, Some(kind)) => f.write_str(kind),
            (None, None, None) => f.write_str("no reason given"),
        }
    }
}

/// The fields stand in the event itself, or below `error`.
pub(crate) fn read_error(data: &str) -> Result<ServerError, serde_json::Error> {
    #[derive(Deserialize)]
    struct Outer {
        error: Option<ServerError>,
    }
    // Where `error` is only a word it says nothing that `message` does not.
    if let Ok(Outer { error: Some(error) }) = serde_json::from_str(data) {
        return Ok(error);
    }
    serde_json::from_str(data)
}

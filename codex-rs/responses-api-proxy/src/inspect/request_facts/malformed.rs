//! What is wrong with a body, and how whoever sent it is told.

use std::fmt;

use super::UnsupportedEncoding;
use super::members::MAX_TOOL_TYPES;
use crate::refusal::{Reason, Refusal};

/// Why the facts of a body cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It has more bytes, decoded, than this.
    TooLarge(u64),
    Empty,
    NotJson,
    /// It ends within a value.
    CutShort,
    NotObject,
    /// More arrays and objects in each other than this.
    TooDeep(u32),
    /// A member that matters is there more than once.
    Repeated(&'static str),
    /// A member is called almost as this one that matters.
    Resembling(&'static str),
    /// A member that matters is not what it has to be.
    Member {
        name: &'static str,
        /// What it has to be.
        must_be: &'static str,
    },
    TooManyToolTypes,
    /// It is more than so many times as long once it is decoded.
    TooDense(u64),
    /// It is joined of more members or frames than this.
    TooManyParts(u32),
    Gzip,
    Zstd,
    /// It needs a larger window than this, in bytes.
    ZstdWindow(u64),
    ZstdDictionary,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLarge(limit) => {
                write!(f, "the request body is larger than {limit} bytes")
            }
            Self::Empty => f.write_str("the request body is empty; it must be a JSON object"),
            Self::NotJson => f.write_str("the request body is not valid JSON"),
            Self::CutShort => {
                f.write_str("the request body is not valid JSON: it ends before the object does")
            }
            Self::NotObject => f.write_str("the request body is not a JSON object"),
            Self::TooDeep(limit) => write!(
                f,
                "the request body has arrays and objects nested more than {limit} deep"
            ),
            Self::Repeated(name) => write!(f, "the request body says `{name}` twice"),
            Self::Resembling(name) => write!(
                f,
                "the request body has a member called almost as `{name}`; write it in lower case"
            ),
            Self::Member { name, must_be } => {
                write!(f, "`{name}` in the request body must be {must_be}")
            }
            Self::TooDense(times) => write!(
                f,
                "the request body is more than {times} times as long once it is decoded; send it as it is"
            ),
            Self::TooManyParts(limit) => write!(
                f,
                "the request body is joined of more than {limit} members of gzip or frames of zstd; compress it as one"
            ),
            Self::TooManyToolTypes => write!(
                f,
                "`tools` in the request body has more than {MAX_TOOL_TYPES} types of tools"
            ),
            Self::Gzip => f.write_str(
                "the request body is not valid gzip, as its Content-Encoding says, or it ends too early",
            ),
            Self::Zstd => f.write_str(
                "the request body is not valid zstd, as its Content-Encoding says, or it ends too early",
            ),
            Self::ZstdWindow(limit) => write!(
                f,
                "the request body was compressed by zstd with a window of more than {limit} bytes; use a lower level"
            ),
            Self::ZstdDictionary => f.write_str(
                "the request body was compressed by zstd with a dictionary; compress it without one",
            ),
        }
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for UnsupportedEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the Content-Encoding of the request body is not supported; send it as it is, or as gzip or zstd",
        )
    }
}

impl std::error::Error for UnsupportedEncoding {}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLarge(limit) => Self::body_too_large(limit),
            _ => Self::because(Reason::RequestNotAllowed, malformed.to_string()),
        }
    }
}

impl From<UnsupportedEncoding> for Refusal {
    fn from(unsupported: UnsupportedEncoding) -> Self {
        Self::because(Reason::ContentEncoding, unsupported.to_string())
    }
}

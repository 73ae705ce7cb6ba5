//! How an answer can fail to be one.

use std::fmt;

use crate::events::answer::MAX_TEXT;
use crate::events::lenient::MAX_PARTS;
use crate::events::server_error::{MAX_MESSAGE, ServerError};
use crate::terminal::printable::excerpt;

/// How an answer can fail to be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The server gave up: `response.failed` or `error`.
    Failed(ServerError),
    /// Somebody gave up: `response.cancelled`.
    Cancelled,
    /// The model did not get to the end, and why.
    Incomplete(Option<String>),
    /// The end, and nothing was said; the model called a tool instead.
    Empty(Option<String>),
    TooLong,
    TooManyParts,
    /// The events of a second answer among those of the first.
    Mixed,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the server failed: {error}"),
            Self::Cancelled => f.write_str("the answer was cancelled by the server"),
            Self::Incomplete(Some(reason)) => write!(
                f,
                "the answer is incomplete: {}",
                excerpt(reason, MAX_MESSAGE)
            ),
            Self::Incomplete(None) => f.write_str("the answer is incomplete"),
            Self::Empty(Some(tool)) => write!(
                f,
                "there is no text in the answer: the model called the tool {tool} instead, and \
                 this is a chat client and runs none"
            ),
            Self::Empty(None) => f.write_str("there is no text in the answer, and no refusal"),
            Self::TooLong => write!(f, "the answer is longer than {} MiB", MAX_TEXT >> 20),
            Self::TooManyParts => write!(f, "the answer has more than {MAX_PARTS} parts"),
            Self::Mixed => f.write_str("the server mixed two answers in one stream"),
        }
    }
}

impl std::error::Error for AnswerError {}

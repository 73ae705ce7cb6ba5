//! What is asked on the control socket, and what is answered: one JSON document a line, one answer for each question,
//! in their order, any number on one connection.
//!
//! Fields that are not known are passed over, by both sides; one whose meaning changes makes it another [`VERSION`].

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// Of this protocol.
pub const VERSION: u32 = 1;

/// The longest question, in bytes, its newline included.
pub const MAX_QUESTION: usize = 1024;

/// The longest answer that is read, in bytes: there is room for thousands of callers and streams.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// A line from whoever asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// [`VERSION`] of whoever asks.
    pub v: u32,
    /// What is to be done.
    pub ask: Ask,
    /// With [`Ask::Status`]: requests in flight are wanted one by one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// How the proxy is.
    Status,
    /// That it ends, as by SIGTERM: what is in flight may finish. Asked again, it ends at once.
    Stop,
    /// Something that this version does not have.
    #[serde(other)]
    Unknown,
}

/// A line from the proxy; one of the others is there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`] of the proxy.
    pub v: u32,
    /// To [`Ask::Status`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
    /// To [`Ask::Stop`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<Stopping>,
    /// Why there is no other answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refused>,
}

/// The proxy ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stopping {
    /// Its process.
    pub pid: u32,
    /// Answers that were still in flight.
    pub in_flight: u64,
    /// How long they may go on, in seconds; 0 if they are cut off now.
    pub drain_seconds: f64,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// One of [`NOT_ALLOWED`], [`MALFORMED`], [`UNKNOWN_QUESTION`].
    pub code: String,
    /// For a person.
    pub message: String,
}

/// This user may not ask.
pub const NOT_ALLOWED: &str = "not_allowed";
/// The line is no question, or too long for one.
pub const MALFORMED: &str = "malformed";
/// A question of another version.
pub const UNKNOWN_QUESTION: &str = "unknown_question";

impl Question {
    /// Of this version.
    #[must_use]
    pub fn new(ask: Ask, streams: bool) -> Self {
        Self {
            v: VERSION,
            ask,
            streams,
        }
    }
}

impl Answer {
    /// To [`Ask::Status`].
    #[must_use]
    pub fn status(status: Status) -> Self {
        Self {
            v: VERSION,
            status: Some(Box::new(status)),
            ..Self::default()
        }
    }

    /// To [`Ask::Stop`].
    #[must_use]
    pub fn stopping(stopping: Stopping) -> Self {
        Self {
            v: VERSION,
            stopping: Some(stopping),
            ..Self::default()
        }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self {
            v: VERSION,
            error: Some(Refused {
                code: code.to_owned(),
                message: message.into(),
            }),
            ..Self::default()
        }
    }
}

/// A question or an answer as a line, with its newline.
///
/// # Errors
///
/// A path in it is not UTF-8.
pub fn to_line(document: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_these_lines() {
        for (question, line) in [
            (
                Question::new(Ask::Status, false),
                "{\"v\":1,\"ask\":\"status\"}\n",
            ),
            (
                Question::new(Ask::Status, true),
                "{\"v\":1,\"ask\":\"status\",\"streams\":true}\n",
            ),
            (
                Question::new(Ask::Stop, false),
                "{\"v\":1,\"ask\":\"stop\"}\n",
            ),
        ] {
            assert_eq!(to_line(&question).unwrap(), line.as_bytes());
            let read: Question = serde_json::from_str(line).unwrap();
            assert_eq!((read.ask, read.streams), (question.ask, question.streams));
        }
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_what_it_asks_is_not_taken_for_another_question()
    {
        let later = r#"{"v":2,"ask":"status","since":3,"streams":false}"#;
        let read: Question = serde_json::from_str(later).unwrap();
        assert_eq!((read.v, read.ask), (2, Ask::Status));
        let unknown: Question = serde_json::from_str(r#"{"v":2,"ask":"reload"}"#).unwrap();
        assert_eq!(unknown.ask, Ask::Unknown);
        let answer = r#"{"v":9,"status":{"pid":7,"new":[1]},"more":{}}"#;
        let answer: Answer = serde_json::from_str(answer).unwrap();
        assert_eq!(answer.status.unwrap().pid, 7);
    }

    #[test]
    fn what_is_missing_is_said_to_be() {
        for wrong in ["", "{}", "[]", "{\"v\":1}", "{\"ask\":\"status\"}", "1"] {
            assert!(serde_json::from_str::<Question>(wrong).is_err(), "{wrong}");
        }
    }
}

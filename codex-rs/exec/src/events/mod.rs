//! The events of a streamed response, as far as a chat needs them.
//!
//! Names and fields are those of the Responses API's reference, "Streaming events". What is not
//! here is skipped without being kept, so an event never takes much more memory than its text.

pub(crate) mod answer;
mod lenient;
pub(crate) mod server_error;
pub(crate) mod stream;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, de};

use crate::events::lenient::{BoundedList, Count, Object};
use crate::events::server_error::{ErrorPayload, ServerError, read_error};
use crate::terminal::printable::{MAX_NAME, excerpt};

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    /// The server has begun; its names for the answer and the model.
    Created(Response),
    /// A piece of text.
    TextDelta(Delta),
    /// All text of one part.
    TextDone(TextDone),
    /// A piece of a refusal.
    RefusalDelta(Delta),
    /// All of a refusal.
    RefusalDone(RefusalDone),
    /// A piece of a summary of the model's reasoning.
    ReasoningDelta(Delta),
    /// Another paragraph of the summary begins.
    ReasoningPart,
    /// One item is complete.
    ItemDone(ItemDone),
    /// The end, with everything.
    Completed(Response),
    /// The end, before the model was done.
    Incomplete(Response),
    /// The end, by a fault of the server.
    Failed(Response),
    /// A fault of the server, or of the request.
    Error(ServerError),
    /// Anything else: progress, tools, things that came after this was written.
    Other,
}

/// A piece of something, and which something.
#[derive(Debug, Deserialize)]
pub(crate) struct Delta {
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    content_index: u64,
    pub(crate) delta: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TextDone {
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    content_index: u64,
    pub(crate) text: String,
}

/// Which part of an answer. Servers that send only one part may leave it out.
// serde's `flatten` would say this more briefly, and keep every field that is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) output_index: u64,
    pub(crate) content_index: u64,
}

impl Delta {
    pub(crate) fn place(&self) -> Place {
        Place {
            output_index: self.output_index,
            content_index: self.content_index,
        }
    }
}

impl TextDone {
    pub(crate) fn place(&self) -> Place {
        Place {
            output_index: self.output_index,
            content_index: self.content_index,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefusalDone {
    pub(crate) refusal: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ItemDone {
    #[serde(default)]
    pub(crate) output_index: u64,
    pub(crate) item: Item,
}

/// One item of an answer: a message, reasoning, a call of a tool.
#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of a function that is called.
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) content: BoundedList<Content>,
}

/// A piece of a message.
#[derive(Debug, Deserialize)]
pub(crate) struct Content {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) text: Option<String>,
    pub(crate) refusal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Carrier {
    response: Response,
}

/// The answer as a whole, as far as it is known.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Response {
    pub(crate) id: Option<String>,
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) output: BoundedList<Item>,
    pub(crate) usage: Option<Object<Usage>>,
    pub(crate) error: Option<ErrorPayload>,
    pub(crate) incomplete_details: Option<IncompleteDetails>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct IncompleteDetails {
    pub(crate) reason: Option<String>,
}

/// How many tokens it took, as far as the server can count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    pub(crate) input_tokens: Count,
    #[serde(default)]
    pub(crate) output_tokens: Count,
    #[serde(default)]
    pub(crate) input_tokens_details: Object<InputDetails>,
    #[serde(default)]
    pub(crate) output_tokens_details: Object<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct InputDetails {
    #[serde(default)]
    pub(crate) cached_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct OutputDetails {
    #[serde(default)]
    pub(crate) reasoning_tokens: Count,
}

/// Data that is not an event.
#[derive(Debug)]
pub(crate) struct EventError {
    kind: Option<String>,
    cause: serde_json::Error,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // serde repeats a value it did not expect: only the place is named.
        let (line, column) = (self.cause.line(), self.cause.column());
        match &self.kind {
            Some(kind) => write!(
                f,
                "the server sent an event {} that is not as the Responses API has it \
                 (line {line}, column {column})",
                excerpt(kind, MAX_NAME)
            ),
            None => write!(
                f,
                "the server sent an event that is no JSON object with a type (line {line}, \
                 column {column})"
            ),
        }
    }
}

impl std::error::Error for EventError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl Event {
    /// Reads the data of one server-sent event.
    ///
    /// # Errors
    ///
    /// [`EventError`] if it is not JSON, or an event of a known type without its fields.
    pub(crate) fn parse(data: &str) -> Result<Self, EventError> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
        }
        let no_object = |cause| EventError { kind: None, cause };
        if !data.trim_start().starts_with('{') {
            // serde would take a list for the fields in their order.
            return Err(no_object(de::Error::custom("no object")));
        }
        let kind: Kind<'_> = serde_json::from_str(data).map_err(no_object)?;
        let kind = kind.kind.as_ref();
        Self::of_kind(kind, data).map_err(|cause| EventError {
            kind: Some(kind.to_owned()),
            cause,
        })
    }

    fn of_kind(kind: &str, data: &str) -> Result<Self, serde_json::Error> {
        fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, serde_json::Error> {
            serde_json::from_str(data)
        }
        let response = || read::<Carrier>(data).map(|carrier| carrier.response);
        Ok(match kind {
            "response.created" => Self::Created(response()?),
            "response.output_text.delta" => Self::TextDelta(read(data)?),
            "response.output_text.done" => Self::TextDone(read(data)?),
            "response.refusal.delta" => Self::RefusalDelta(read(data)?),
            "response.refusal.done" => Self::RefusalDone(read(data)?),
            "response.reasoning_summary_text.delta" => Self::ReasoningDelta(read(data)?),
            "response.reasoning_summary_part.added" => Self::ReasoningPart,
            "response.output_item.done" => Self::ItemDone(read(data)?),
            "response.completed" => Self::Completed(response()?),
            "response.incomplete" => Self::Incomplete(response()?),
            "response.failed" => Self::Failed(response()?),
            "error" => Self::Error(read_error(data)?),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::lenient::MAX_PARTS;

    #[test]
    fn fields_that_are_not_needed_may_be_anything_or_nothing() {
        let delta = r#"{"type":"response.output_text.delta","delta":"x","logprobs":[{}],"new":1}"#;
        let Event::TextDelta(delta) = Event::parse(delta).unwrap() else {
            panic!("no delta");
        };
        assert_eq!(
            (delta.delta.as_str(), delta.place()),
            ("x", Place::default())
        );
        let done = r#"{"type":"response.completed","response":{"output":null,"usage":null}}"#;
        assert!(matches!(Event::parse(done), Ok(Event::Completed(_))));
        assert!(matches!(
            Event::parse(r#"{"type":"response.new"}"#),
            Ok(Event::Other)
        ));
    }

    #[test]
    fn both_forms_of_an_error() {
        for data in [
            r#"{"type":"error","code":"c","message":"m","param":null}"#,
            r#"{"type":"error","error":{"type":"t","code":"c","message":"m"}}"#,
            r#"{"type":"error","error":"t","code":"c","message":"m"}"#,
            r#"{"type":"error","error":"m (c)"}"#,
        ] {
            let Ok(Event::Error(error)) = Event::parse(data) else {
                panic!("no error in {data}");
            };
            assert_eq!(error.to_string(), "m (c)");
        }
    }

    #[test]
    fn what_is_no_event_is_an_error_that_does_not_repeat_it() {
        for (data, says) in [
            ("secret", "no JSON object with a type"),
            ("[\"secret\"]", "no JSON object with a type"),
            (r#"{"type":7,"x":"secret"}"#, "no JSON object with a type"),
            (
                r#"{"type":"response.output_text.delta","delta":["secret"]}"#,
                "an event response.output_text.delta that is not",
            ),
            (
                r#"{"type":"response.completed"}"#,
                "an event response.completed that is not",
            ),
        ] {
            let error = Event::parse(data).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_list_without_end_is_an_error() {
        let list = |n: usize| {
            let items = vec![r#"{"type":"x"}"#; n].join(",");
            format!(r#"{{"type":"response.completed","response":{{"output":[{items}]}}}}"#)
        };
        assert!(Event::parse(&list(MAX_PARTS)).is_ok());
        assert!(Event::parse(&list(MAX_PARTS + 1)).is_err());
        // What is skipped is skipped without recursion.
        let deep = format!(
            r#"{{"type":"x","y":{}{}}}"#,
            "[".repeat(1 << 20),
            "]".repeat(1 << 20)
        );
        assert!(matches!(Event::parse(&deep), Ok(Event::Other)));
    }
}

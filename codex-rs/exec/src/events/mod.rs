//! The events of a streamed response, as far as a chat needs them.
//!
//! Names and fields are those of the Responses API's reference, "Streaming events". What is not
//! here is skipped without being kept, so an event never takes much more memory than its text.

pub(crate) mod answer;
pub(crate) mod item;
pub(crate) mod lenient;
pub(crate) mod server_error;
pub(crate) mod stream;
mod surrogates;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, de};

use crate::events::item::Item;
use crate::events::lenient::{BoundedList, Count, Object, text};
use crate::events::server_error::{ErrorPayload, ServerError, read_error};
use crate::events::surrogates::without_lone_surrogates;
use crate::terminal::printable::{MAX_NAME, excerpt};
use crate::transport::redact::Redactor;

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
    /// One item begins.
    ItemAdded(ItemAt),
    /// One item is complete.
    ItemDone(ItemAt),
    /// The end, with everything.
    Completed(Response),
    /// The end, before the model was done.
    Incomplete(Response),
    /// The end, by a fault of the server.
    Failed(Response),
    /// The end, because somebody cancelled it.
    Cancelled,
    /// A fault of the server, or of the request.
    Error(ServerError),
    /// Anything else: progress, tools, things that came after this was written.
    Other,
}

/// A piece of something, and which something.
#[derive(Debug, Deserialize)]
pub(crate) struct Delta {
    #[serde(default)]
    output_index: Count,
    #[serde(default)]
    content_index: Count,
    pub(crate) delta: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TextDone {
    #[serde(default)]
    output_index: Count,
    #[serde(default)]
    content_index: Count,
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
            output_index: self.output_index.0,
            content_index: self.content_index.0,
        }
    }
}

impl TextDone {
    pub(crate) fn place(&self) -> Place {
        Place {
            output_index: self.output_index.0,
            content_index: self.content_index.0,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefusalDone {
    pub(crate) refusal: String,
}

/// An item, and its place among the others.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemAt {
    #[serde(default)]
    pub(crate) output_index: Count,
    pub(crate) item: Item,
}

#[derive(Debug, Deserialize)]
struct Carrier {
    response: Response,
}

/// The answer as a whole, as far as it is known.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Response {
    #[serde(default, deserialize_with = "text")]
    pub(crate) model: Option<String>,
    /// Of a response that is not streamed.
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    #[serde(default)]
    pub(crate) output: BoundedList<Item>,
    pub(crate) usage: Option<Object<Usage>>,
    pub(crate) error: Option<ErrorPayload>,
    #[serde(default)]
    pub(crate) incomplete_details: Object<IncompleteDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct IncompleteDetails {
    #[serde(default, deserialize_with = "text")]
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
    #[serde(default)]
    pub(crate) cache_write_tokens: Count,
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
                "the server sent an event that is not a JSON object with a type (line {line}, \
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
        // Half of a pair is no text; the rest of the event is.
        let data = &*without_lone_surrogates(data);
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
            "response.output_item.added" => Self::ItemAdded(read(data)?),
            "response.output_item.done" => Self::ItemDone(read(data)?),
            "response.completed" => Self::Completed(response()?),
            "response.incomplete" => Self::Incomplete(response()?),
            "response.failed" => Self::Failed(response()?),
            "response.cancelled" => Self::Cancelled,
            "error" => Self::Error(read_error(data)?),
            _ => Self::Other,
        })
    }

    /// Reads a whole response, which some gateways answer with where a stream was asked for: the event that
    /// would have ended the stream, and its type. `None` if it is none.
    pub(crate) fn of_whole(body: &str) -> Option<(&'static str, Self)> {
        let body = &*without_lone_surrogates(body);
        let response: Response = serde_json::from_str(body).ok()?;
        Some(match response.status.as_deref() {
            Some("incomplete") => ("response.incomplete", Self::Incomplete(response)),
            Some("cancelled") => ("response.cancelled", Self::Cancelled),
            Some("failed") => ("response.failed", Self::Failed(response)),
            Some("completed") => ("response.completed", Self::Completed(response)),
            _ if response.error.is_none() && !response.output.0.is_empty() => {
                ("response.completed", Self::Completed(response))
            }
            _ => return None,
        })
    }

    /// Takes secrets out of what is said in one piece. What comes in several (text and reasoning) is left to
    /// whoever puts them together.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        match self {
            Self::ItemAdded(at) | Self::ItemDone(at) => at.item.redact(redactor),
            Self::Error(error) => error.redact(redactor),
            Self::Created(response)
            | Self::Completed(response)
            | Self::Incomplete(response)
            | Self::Failed(response) => response.redact(redactor),
            _ => {}
        }
    }
}

impl Response {
    fn redact(&mut self, redactor: &Redactor) {
        redactor.clean_in(&mut self.model);
        if let Some(error) = &mut self.error {
            error.redact(redactor);
        }
        redactor.clean_in(&mut self.incomplete_details.0.reason);
        for item in &mut self.output.0 {
            item.redact(redactor);
        }
    }
}

impl EventError {
    /// The same without secrets.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        redactor.clean_in(&mut self.kind);
        self
    }
}

#[cfg(test)]
mod tests;

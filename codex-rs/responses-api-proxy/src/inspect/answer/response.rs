//! Reads what is of interest in a response object, in an event around one, and in the API's errors. Pure.

use std::ops::ControlFlow;

use super::facts::{FinalEvent, TokenCounts};
use crate::inspect::json::{MAX_STRING, Value, Visitor};
use crate::inspect::sse::MAX_NAME;

/// The longest text that is reported, in bytes. A longer one is treated as absent.
const MAX_TEXT: usize = MAX_STRING;

/// What an event is about, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    /// Says the response's id and model, but not yet what it cost.
    Started,
    /// A piece of output.
    Delta,
    Final(FinalEvent),
    /// Something went wrong, in a stream that has begun.
    Error,
    Other,
}

impl EventKind {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            _ if name.len() > MAX_NAME => Self::Other,
            _ if name.ends_with(b".delta") => Self::Delta,
            b"response.completed" => Self::Final(FinalEvent::Completed),
            b"response.incomplete" => Self::Final(FinalEvent::Incomplete),
            b"response.failed" => Self::Final(FinalEvent::Failed),
            b"response.created" | b"response.queued" | b"response.in_progress" => Self::Started,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }

    /// Whether its data says anything of interest.
    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Started | Self::Final(_) | Self::Error)
    }
}

/// Where in a document a value of interest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Event,
    Type,
    /// Or a document that is nothing but an error.
    Response,
    Id,
    Model,
    ServiceTier,
    Status,
    Error,
    ErrorCode,
    ErrorType,
    Incomplete,
    Reason,
    Usage,
    Input,
    InputDetails,
    Cached,
    CacheWrite,
    Output,
    OutputDetails,
    Reasoning,
}

/// What one document says.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// Given, or else the first `type` of an event.
    pub(super) kind: Option<EventKind>,
    pub(super) id: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
    pub(super) service_tier: Option<Box<str>>,
    pub(super) status: Option<FinalEvent>,
    pub(super) error_code: Option<Box<str>>,
    pub(super) error_type: Option<Box<str>>,
    pub(super) reason: Option<Box<str>>,
    pub(super) usage: Usage,
}

#[derive(Debug, Default)]
pub(super) struct Usage {
    is_there: bool,
    is_malformed: bool,
    input: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

/// The usage is there and is not what the API documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MalformedUsage;

impl Response {
    pub(super) fn of_kind(kind: Option<EventKind>) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// `None` if it does not say.
    pub(super) fn usage(&self) -> Result<Option<TokenCounts>, MalformedUsage> {
        let usage = &self.usage;
        match (usage.input, usage.output) {
            _ if usage.is_malformed => Err(MalformedUsage),
            _ if !usage.is_there => Ok(None),
            (Some(input), Some(output)) => Ok(Some(TokenCounts {
                input,
                cached: usage.cached.unwrap_or(0),
                cache_write: usage.cache_write.unwrap_or(0),
                output,
                reasoning: usage.reasoning.unwrap_or(0),
            })),
            _ => Err(MalformedUsage),
        }
    }

    /// Why it ended as it did; `None` for one that is complete.
    pub(super) fn take_error(&mut self, end: Option<FinalEvent>) -> Option<Box<str>> {
        match end {
            Some(FinalEvent::Completed) => None,
            Some(FinalEvent::Incomplete) => self.reason.take(),
            Some(FinalEvent::Failed) | None => {
                self.error_code.take().or_else(|| self.error_type.take())
            }
        }
    }
}

impl Visitor for Response {
    type Place = Place;

    fn member(&self, of: Place, name: &str) -> Option<Place> {
        // The event `error` is flat in the API's reference, and not everywhere.
        let is_error = matches!(self.kind, None | Some(EventKind::Error));
        Some(match (of, name) {
            (Place::Event, "type") => Place::Type,
            (Place::Event, "response") => Place::Response,
            (Place::Event, "code") if is_error => Place::ErrorCode,
            (Place::Event, "error") if is_error => Place::Error,
            (Place::Response, "error") => Place::Error,
            (Place::Error, "code") => Place::ErrorCode,
            (Place::Error, "type") => Place::ErrorType,
            (Place::Response, "id") => Place::Id,
            (Place::Response, "model") => Place::Model,
            (Place::Response, "service_tier") => Place::ServiceTier,
            (Place::Response, "status") => Place::Status,
            (Place::Response, "incomplete_details") => Place::Incomplete,
            (Place::Incomplete, "reason") => Place::Reason,
            (Place::Response, "usage") => Place::Usage,
            (Place::Usage, "input_tokens") => Place::Input,
            (Place::Usage, "input_tokens_details") => Place::InputDetails,
            (Place::InputDetails, "cached_tokens") => Place::Cached,
            (Place::InputDetails, "cache_write_tokens") => Place::CacheWrite,
            (Place::Usage, "output_tokens") => Place::Output,
            (Place::Usage, "output_tokens_details") => Place::OutputDetails,
            (Place::OutputDetails, "reasoning_tokens") => Place::Reasoning,
            _ => return None,
        })
    }

    fn value(&mut self, at: Place, value: Value<'_>) -> ControlFlow<()> {
        match at {
            Place::Event | Place::Response | Place::Error | Place::Incomplete => {}
            Place::Type => {
                let kind = match value {
                    Value::String(name) => EventKind::of(name.as_bytes()),
                    _ => EventKind::Other,
                };
                self.kind.get_or_insert(kind);
            }
            Place::Id => self.id = text(value),
            Place::Model => self.model = text(value),
            Place::ServiceTier => self.service_tier = text(value),
            Place::Status => {
                self.status = match value {
                    Value::String("completed") => Some(FinalEvent::Completed),
                    Value::String("incomplete") => Some(FinalEvent::Incomplete),
                    Value::String("failed") => Some(FinalEvent::Failed),
                    _ => None,
                }
            }
            Place::ErrorCode => self.error_code = text(value),
            Place::ErrorType => self.error_type = text(value),
            Place::Reason => self.reason = text(value),
            Place::Usage => {
                self.usage = Usage {
                    is_there: value == Value::Object,
                    is_malformed: !matches!(value, Value::Object | Value::Null),
                    ..Usage::default()
                }
            }
            Place::InputDetails | Place::OutputDetails => {
                self.usage.is_malformed |= !matches!(value, Value::Object | Value::Null);
            }
            Place::Input => self.usage.input = self.usage.count(value),
            Place::Cached => self.usage.cached = self.usage.count(value),
            Place::CacheWrite => self.usage.cache_write = self.usage.count(value),
            Place::Output => self.usage.output = self.usage.count(value),
            Place::Reasoning => self.usage.reasoning = self.usage.count(value),
        }
        match self.kind {
            Some(EventKind::Started) if self.id.is_some() && self.model.is_some() => {
                ControlFlow::Break(())
            }
            Some(kind) if !kind.is_read() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Usage {
    /// As it is documented.
    pub(super) fn of(counts: TokenCounts) -> Self {
        Self {
            is_there: true,
            is_malformed: false,
            input: Some(counts.input),
            cached: Some(counts.cached),
            cache_write: Some(counts.cache_write),
            output: Some(counts.output),
            reasoning: Some(counts.reasoning),
        }
    }

    fn count(&mut self, value: Value<'_>) -> Option<u64> {
        let count = match value {
            Value::Number(number) => number.parse().ok(),
            Value::Null => return None,
            _ => None,
        };
        self.is_malformed |= count.is_none();
        count
    }
}

fn text(value: Value<'_>) -> Option<Box<str>> {
    match value {
        Value::String(text) => text_of(text),
        _ => None,
    }
}

/// A text as it is reported, if it is.
pub(super) fn text_of(text: &str) -> Option<Box<str>> {
    (1..=MAX_TEXT).contains(&text.len()).then(|| text.into())
}

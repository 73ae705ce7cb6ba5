//! Where in a document the parser is, and what of it is of interest. Pure.

use std::ops::ControlFlow;

use json_event_parser::JsonEvent;

use super::{MAX_NUMBER, Progress, Value, Visitor};

/// Where in the document the parser is.
pub(super) struct Position<P> {
    /// The objects with a place that are open, from the outermost.
    pub(super) open: Vec<P>,
    /// An object or array without one is open inside the last of these.
    pub(super) is_ignored: bool,
    /// The place of the value that comes next.
    next: Option<P>,
}

impl<P: Copy> Position<P> {
    pub(super) fn new(root: P) -> Self {
        Self {
            open: Vec::new(),
            is_ignored: false,
            next: Some(root),
        }
    }

    /// The parser has read this.
    pub(super) fn follow<V>(&mut self, event: &JsonEvent<'_>, visitor: &mut V) -> Progress
    where
        V: Visitor<Place = P>,
    {
        let value = match event {
            JsonEvent::ObjectKey(name) => {
                let of = self.open.last();
                self.next = of.and_then(|&of| visitor.member(of, name));
                return Progress::Reading;
            }
            JsonEvent::EndObject | JsonEvent::EndArray => {
                if !std::mem::take(&mut self.is_ignored) {
                    self.open.pop();
                }
                return Progress::Reading;
            }
            JsonEvent::Number(number) if number.len() > MAX_NUMBER => return Progress::Unreadable,
            JsonEvent::String(text) => Value::String(text),
            JsonEvent::Number(number) => Value::Number(number),
            JsonEvent::Boolean(_) => Value::Boolean,
            JsonEvent::Null => Value::Null,
            JsonEvent::StartObject => Value::Object,
            JsonEvent::StartArray => Value::Array,
            JsonEvent::Eof => return Progress::Reading,
        };
        let place = self.next.take();
        match (value, place) {
            (Value::Object, Some(place)) => self.open.push(place),
            (Value::Object | Value::Array, _) => self.is_ignored = true,
            _ => {}
        }
        match place.map(|place| visitor.value(place, value)) {
            Some(ControlFlow::Break(())) => Progress::Stopped,
            Some(ControlFlow::Continue(())) | None => Progress::Reading,
        }
    }
}

//! Pure: the events of one answer, folded into its text.
//!
//! Only what cannot be an answer ends it. Ids are never compared: gateways between us and the model write
//! their own.

mod error;
mod kept;
mod output;
mod sources;
mod tools;

use std::collections::BTreeMap;

pub(crate) use self::error::AnswerError;
use self::kept::Kept;
pub(crate) use self::output::{Done, Output, Search};
use self::sources::Sources;
use self::tools::{RUN_BY_SERVER, WEB_SEARCH, name, search};
use crate::conversation::item as conversation;
use crate::events::item::Item;
use crate::events::lenient::MAX_PARTS;
use crate::events::server_error::ServerError;
use crate::events::{Event, Place, Response, Usage};

/// The longest text of an answer, in bytes: far more than any model writes, and what a
/// conversation may have to keep.
const MAX_TEXT: usize = 16 << 20;

/// What has arrived of an answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// All text, in the order it was shown.
    pub(crate) text: String,
    /// Where the last message begins in the text.
    last_message: usize,
    /// What the model said instead of an answer.
    pub(crate) refusal: String,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    parts: BTreeMap<Place, Part>,
    /// The first tool that the model wanted to be run.
    tool: Option<String>,
    has_begun: bool,
    /// Whether a message was complete.
    has_message: bool,
    reasoning: usize,
    /// Complete messages, and reasoning that can be sent back, in their order.
    kept: Kept,
    sources: Sources,
}

/// What has arrived of one part.
#[derive(Debug)]
struct Part {
    text: PartText,
    /// Whether its item is complete.
    is_done: bool,
}

#[derive(Debug)]
enum PartText {
    Streamed(String),
    /// The whole text that the server sent at the end was another. Nothing more is compared, so nothing is kept.
    Contradicted,
}

impl Answer {
    /// Takes one event in.
    ///
    /// # Errors
    ///
    /// [`AnswerError`]: no further event can make an answer of it.
    pub(crate) fn take(&mut self, event: Event) -> Result<Vec<Output>, AnswerError> {
        let mut outputs = Vec::new();
        match event {
            Event::Created(response) => {
                // Gateways that try another server begin again; what was said cannot be taken back.
                if self.has_begun && !self.text.is_empty() {
                    return Err(AnswerError::Mixed);
                }
                self.has_begun = true;
                self.model = response.model.as_deref().map(name);
            }
            Event::TextDelta(delta) => self.more(delta.place(), delta.delta, &mut outputs)?,
            Event::TextDone(done) => self.whole(done.place(), &done.text, &mut outputs)?,
            Event::RefusalDelta(delta) => {
                self.room_for(delta.delta.len())?;
                self.refusal.push_str(&delta.delta);
            }
            Event::RefusalDone(done) => self.refuse(done.refusal)?,
            Event::ReasoningDelta(delta) => {
                self.reasoning = self.reasoning.saturating_add(delta.delta.len());
                if self.reasoning > MAX_TEXT {
                    return Err(AnswerError::TooLong);
                }
                outputs.push(Output::Reasoning(delta.delta));
            }
            Event::ReasoningPart => {
                if self.reasoning > 0 {
                    outputs.push(Output::Reasoning("\n\n".to_owned()));
                }
            }
            Event::ItemAdded(begun) => {
                if begun.item.kind.as_deref() == Some(WEB_SEARCH) {
                    outputs.push(Output::Searches(search(begun.item)));
                }
            }
            Event::ItemDone(done) => self.item(done.output_index.0, done.item, &mut outputs)?,
            Event::Completed(response) => {
                self.end(response, &mut outputs)?;
                outputs.push(Output::End);
            }
            Event::Incomplete(response) => {
                let reason = response.incomplete_details.0.reason;
                self.usage = response.usage.map(|usage| usage.0);
                return Err(AnswerError::Incomplete(reason));
            }
            Event::Failed(response) => {
                return Err(AnswerError::Failed(
                    response.error.map_or_else(ServerError::default, Into::into),
                ));
            }
            Event::Cancelled => return Err(AnswerError::Cancelled),
            Event::Error(error) => return Err(AnswerError::Failed(error)),
            Event::Other => {}
        }
        Ok(outputs)
    }

    /// The text of the last message.
    pub(crate) fn last_message(&self) -> &str {
        self.text.get(self.last_message..).unwrap_or_default()
    }

    /// The items that are sent back with the next question; empty where they are not all of the text.
    pub(crate) fn kept(self) -> Vec<conversation::Item> {
        self.kept.items(self.text)
    }

    /// What the text refers to, each once, with its title.
    pub(crate) fn sources(&self) -> &[String] {
        self.sources.all()
    }

    fn room_for(&self, more: usize) -> Result<(), AnswerError> {
        if self.text.len() + self.refusal.len() + more > MAX_TEXT {
            return Err(AnswerError::TooLong);
        }
        Ok(())
    }

    /// More text of one part.
    fn more(
        &mut self,
        place: Place,
        text: String,
        outputs: &mut Vec<Output>,
    ) -> Result<(), AnswerError> {
        self.room_for(text.len())?;
        if text.is_empty() {
            return Ok(());
        }
        if !self.parts.contains_key(&place) {
            if self.parts.len() == MAX_PARTS {
                return Err(AnswerError::TooManyParts);
            }
            let is_another = |other: &Place| other.output_index != place.output_index;
            if self.parts.keys().any(is_another) {
                // Another message: a paragraph of its own.
                self.text.push_str("\n\n");
                self.last_message = self.text.len();
                outputs.push(Output::Text("\n\n".to_owned()));
            }
        }
        let part = self.parts.entry(place).or_insert(Part {
            text: PartText::Streamed(String::new()),
            is_done: false,
        });
        if let PartText::Streamed(streamed) = &mut part.text {
            streamed.push_str(&text);
        }
        self.text.push_str(&text);
        outputs.push(Output::Text(text));
        Ok(())
    }

    /// All text of one part: what was not streamed is still to be shown.
    fn whole(
        &mut self,
        place: Place,
        text: &str,
        outputs: &mut Vec<Output>,
    ) -> Result<(), AnswerError> {
        let streamed = match self.parts.get(&place).map(|part| &part.text) {
            Some(PartText::Streamed(streamed)) => streamed.as_str(),
            // Said once is enough.
            Some(PartText::Contradicted) => return Ok(()),
            None => "",
        };
        match text.strip_prefix(streamed) {
            Some(rest) => {
                let rest = rest.to_owned();
                self.more(place, rest, outputs)
            }
            None if streamed.trim() == text.trim() => Ok(()),
            None => {
                outputs.push(Output::Note(
                    "the server's last word on the text differs from what it streamed".to_owned(),
                ));
                if let Some(part) = self.parts.get_mut(&place) {
                    part.text = PartText::Contradicted;
                }
                Ok(())
            }
        }
    }

    /// Where the text of a complete item was streamed: at its own place, or else, because some gateways count
    /// items differently in pieces and in the end, where an item that is not complete has the same beginning.
    fn place_of(&self, place: Place, text: &str) -> Place {
        if self.parts.contains_key(&place) {
            return place;
        }
        let has_begun = |(_, part): &(&Place, &Part)| match &part.text {
            PartText::Streamed(streamed) => {
                !part.is_done && !streamed.is_empty() && text.starts_with(streamed.as_str())
            }
            PartText::Contradicted => false,
        };
        self.parts
            .iter()
            .find(has_begun)
            .map_or(place, |(other, _)| *other)
    }

    fn refuse(&mut self, refusal: String) -> Result<(), AnswerError> {
        if self.refusal.is_empty() {
            self.room_for(refusal.len())?;
            self.refusal = refusal;
        }
        Ok(())
    }

    fn item(
        &mut self,
        output_index: u64,
        item: Item,
        outputs: &mut Vec<Output>,
    ) -> Result<(), AnswerError> {
        let kind = item.kind.as_deref().unwrap_or("message");
        match kind {
            _ if item.is_message() => self.message(output_index, item, outputs)?,
            // Somebody else's words are not the answer.
            "message" => {}
            "reasoning" => {
                if let Some(reasoning) = item.reasoning() {
                    self.kept.reasoning(reasoning, item.size())?;
                }
                let summary = item.summary();
                if !summary.is_empty() {
                    outputs.push(Output::Done(Done::Reasoning(summary)));
                }
            }
            WEB_SEARCH => {
                self.kept.forget_reasoning();
                outputs.push(Output::Done(Done::Search(search(item))));
            }
            kind => {
                self.kept.forget_reasoning();
                let name = name(item.name.as_deref().unwrap_or(kind));
                outputs.push(Output::Note(if RUN_BY_SERVER.contains(&kind) {
                    format!("the server ran the tool {name}")
                } else {
                    self.tool.get_or_insert_with(|| name.clone());
                    format!("the model called the tool {name}; this is a chat client and runs none")
                }));
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        output_index: u64,
        item: Item,
        outputs: &mut Vec<Output>,
    ) -> Result<(), AnswerError> {
        let text = item.text();
        for content in &item.content.0 {
            self.sources.cite(&content.annotations.0);
        }
        for (content_index, content) in (0..).zip(item.content.0) {
            let place = Place {
                output_index,
                content_index,
            };
            if let Some(text) = content.output_text() {
                let place = self.place_of(place, text);
                self.whole(place, text, outputs)?;
                if let Some(part) = self.parts.get_mut(&place) {
                    part.is_done = true;
                }
            } else if let (Some("refusal"), Some(refusal)) =
                (content.kind.as_deref(), content.refusal)
            {
                self.refuse(refusal)?;
            }
        }
        if let Some(text) = text {
            self.has_message = true;
            self.kept.message(text.clone());
            outputs.push(Output::Done(Done::Message(text)));
        }
        Ok(())
    }

    fn end(&mut self, response: Response, outputs: &mut Vec<Output>) -> Result<(), AnswerError> {
        self.usage = response.usage.map(|usage| usage.0);
        if let Some(model) = &response.model {
            self.model = Some(name(model));
        }
        if self.parts.is_empty() && self.refusal.is_empty() {
            // Some servers say it all at the end.
            for (index, item) in (0..).zip(response.output.0) {
                if item.is_message() || self.tool.is_none() {
                    self.item(index, item, outputs)?;
                }
            }
        }
        if self.text.is_empty() && self.refusal.is_empty() {
            return Err(AnswerError::Empty(self.tool.take()));
        }
        if !self.has_message && !self.text.is_empty() {
            // Its pieces were all there was of it.
            outputs.push(Output::Done(Done::Message(self.text.clone())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

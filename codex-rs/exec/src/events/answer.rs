//! Pure: the events of one answer, folded into its text.

use std::collections::BTreeMap;
use std::fmt;

use crate::events::lenient::MAX_PARTS;
use crate::events::server_error::{MAX_MESSAGE, ServerError};
use crate::events::{Event, Item, Place, Response, Usage};
use crate::terminal::printable::{MAX_NAME, excerpt};

/// The longest text of an answer, in bytes: far more than any model writes, and what a
/// conversation may have to keep.
const MAX_TEXT: usize = 16 << 20;

/// What has arrived of an answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// All text, in the order it was shown.
    pub(crate) text: String,
    /// What the model said instead of an answer.
    pub(crate) refusal: String,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    id: Option<String>,
    parts: BTreeMap<Place, Part>,
    /// The first tool that the model called.
    tool: Option<String>,
    has_begun: bool,
    reasoning: usize,
}

/// What has arrived of one part.
#[derive(Debug)]
enum Part {
    Streamed(String),
    /// The whole text that the server sent at the end was another. Nothing more is compared, so nothing is kept.
    Contradicted,
}

/// What an event changes for whoever looks on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// More text of the answer.
    Text(String),
    /// More of a summary of the model's reasoning.
    Reasoning(String),
    /// Something about the answer that is not a part of it.
    Note(String),
    /// Nothing more comes.
    End,
}

/// How an answer can fail to be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The server gave up: `response.failed` or `error`.
    Failed(ServerError),
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
                if self.has_begun {
                    return Err(AnswerError::Mixed);
                }
                self.has_begun = true;
                self.id = response.id.as_deref().map(name);
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
            Event::ItemDone(done) => self.item(done.output_index, done.item, &mut outputs)?,
            Event::Completed(response) => {
                self.end(response, &mut outputs)?;
                outputs.push(Output::End);
            }
            Event::Incomplete(response) => {
                let reason = response.incomplete_details.as_ref();
                let reason = reason.and_then(|details| details.reason.clone());
                self.usage = response.usage.map(|usage| usage.0);
                return Err(AnswerError::Incomplete(reason));
            }
            Event::Failed(response) => {
                return Err(AnswerError::Failed(
                    response.error.map_or_else(ServerError::default, Into::into),
                ));
            }
            Event::Error(error) => return Err(AnswerError::Failed(error)),
            Event::Other => {}
        }
        Ok(outputs)
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
                outputs.push(Output::Text("\n\n".to_owned()));
            }
        }
        let part = self.parts.entry(place);
        if let Part::Streamed(streamed) = part.or_insert(Part::Streamed(String::new())) {
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
        let streamed = match self.parts.get(&place) {
            Some(Part::Streamed(streamed)) => streamed.as_str(),
            // Said once is enough.
            Some(Part::Contradicted) => return Ok(()),
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
                self.parts.insert(place, Part::Contradicted);
                Ok(())
            }
        }
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
        match item.kind.as_str() {
            "message" => {
                for (content_index, content) in (0..).zip(item.content.0) {
                    let place = Place {
                        output_index,
                        content_index,
                    };
                    match (content.kind.as_str(), content.text, content.refusal) {
                        ("output_text", Some(text), _) => self.whole(place, &text, outputs)?,
                        ("refusal", _, Some(refusal)) => self.refuse(refusal)?,
                        _ => {}
                    }
                }
            }
            "reasoning" => {}
            kind => {
                let name = name(item.name.as_deref().unwrap_or(kind));
                self.tool.get_or_insert_with(|| name.clone());
                outputs.push(Output::Note(format!(
                    "the model called the tool {name}; this is a chat client and runs none"
                )));
            }
        }
        Ok(())
    }

    fn end(&mut self, response: Response, outputs: &mut Vec<Output>) -> Result<(), AnswerError> {
        if let (Some(begun), Some(ended)) = (&self.id, &response.id)
            && *begun != name(ended)
        {
            return Err(AnswerError::Mixed);
        }
        self.usage = response.usage.map(|usage| usage.0);
        if let Some(model) = &response.model {
            self.model = Some(name(model));
        }
        if self.parts.is_empty() && self.refusal.is_empty() {
            // Some servers say it all at the end.
            for (index, item) in (0..).zip(response.output.0) {
                if item.kind == "message" || self.tool.is_none() {
                    self.item(index, item, outputs)?;
                }
            }
        }
        if self.text.is_empty() && self.refusal.is_empty() {
            return Err(AnswerError::Empty(self.tool.take()));
        }
        Ok(())
    }
}

/// A name that a server gave: as much of it as is shown.
fn name(of: &str) -> String {
    excerpt(of, MAX_NAME)
}

#[cfg(test)]
mod tests;

//! Pure: the events of one answer, folded into its text.

use std::collections::BTreeMap;
use std::fmt;

use crate::at_most::MAX_PARTS;
use crate::event::{Event, Item, Place, Response, Usage};
use crate::printable::{MAX_NAME, excerpt};
use crate::server_error::{MAX_MESSAGE, ServerError};

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
    /// The server's last word on it was another. Nothing more is compared, so nothing is kept.
    Contradicted,
}

/// What an event changes for whoever looks on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// More text of the answer.
    Text(String),
    /// More of a summary of the model's reasoning.
    Reasoning(String),
    /// Something about the answer that is no part of it.
    Note(String),
    /// Nothing more comes.
    End,
}

/// How an answer can fail to be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
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

impl fmt::Display for AnswerFault {
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

impl std::error::Error for AnswerFault {}

impl Answer {
    /// Takes one event in.
    ///
    /// # Errors
    ///
    /// [`AnswerFault`]: no further event can make an answer of it.
    pub(crate) fn take(&mut self, event: Event) -> Result<Vec<Shown>, AnswerFault> {
        let mut shown = Vec::new();
        match event {
            Event::Created(response) => {
                if self.has_begun {
                    return Err(AnswerFault::Mixed);
                }
                self.has_begun = true;
                self.id = response.id.as_deref().map(name);
                self.model = response.model.as_deref().map(name);
            }
            Event::TextDelta(delta) => self.more(delta.place(), delta.delta, &mut shown)?,
            Event::TextDone(done) => self.whole(done.place(), &done.text, &mut shown)?,
            Event::RefusalDelta(delta) => {
                self.room_for(delta.delta.len())?;
                self.refusal.push_str(&delta.delta);
            }
            Event::RefusalDone(done) => self.refuse(done.refusal)?,
            Event::ReasoningDelta(delta) => {
                self.reasoning = self.reasoning.saturating_add(delta.delta.len());
                if self.reasoning > MAX_TEXT {
                    return Err(AnswerFault::TooLong);
                }
                shown.push(Shown::Reasoning(delta.delta));
            }
            Event::ReasoningPart => {
                if self.reasoning > 0 {
                    shown.push(Shown::Reasoning("\n\n".to_owned()));
                }
            }
            Event::ItemDone(done) => self.item(done.output_index, done.item, &mut shown)?,
            Event::Completed(response) => {
                self.end(response, &mut shown)?;
                shown.push(Shown::End);
            }
            Event::Incomplete(response) => {
                let reason = response.incomplete_details.as_ref();
                let reason = reason.and_then(|details| details.reason.clone());
                self.usage = response.usage.map(|usage| usage.0);
                return Err(AnswerFault::Incomplete(reason));
            }
            Event::Failed(response) => {
                return Err(AnswerFault::Failed(
                    response.error.map_or_else(ServerError::default, Into::into),
                ));
            }
            Event::Error(error) => return Err(AnswerFault::Failed(error)),
            Event::Other => {}
        }
        Ok(shown)
    }

    fn room_for(&self, more: usize) -> Result<(), AnswerFault> {
        if self.text.len() + self.refusal.len() + more > MAX_TEXT {
            return Err(AnswerFault::TooLong);
        }
        Ok(())
    }

    /// More text of one part.
    fn more(
        &mut self,
        place: Place,
        text: String,
        shown: &mut Vec<Shown>,
    ) -> Result<(), AnswerFault> {
        self.room_for(text.len())?;
        if text.is_empty() {
            return Ok(());
        }
        if !self.parts.contains_key(&place) {
            if self.parts.len() == MAX_PARTS {
                return Err(AnswerFault::TooManyParts);
            }
            let is_another = |other: &Place| other.output_index != place.output_index;
            if self.parts.keys().any(is_another) {
                // Another message: a paragraph of its own.
                self.text.push_str("\n\n");
                shown.push(Shown::Text("\n\n".to_owned()));
            }
        }
        let part = self.parts.entry(place);
        if let Part::Streamed(streamed) = part.or_insert(Part::Streamed(String::new())) {
            streamed.push_str(&text);
        }
        self.text.push_str(&text);
        shown.push(Shown::Text(text));
        Ok(())
    }

    /// All text of one part: what was not streamed is still to be shown.
    fn whole(
        &mut self,
        place: Place,
        text: &str,
        shown: &mut Vec<Shown>,
    ) -> Result<(), AnswerFault> {
        let streamed = match self.parts.get(&place) {
            Some(Part::Streamed(streamed)) => streamed.as_str(),
            // Said once is enough.
            Some(Part::Contradicted) => return Ok(()),
            None => "",
        };
        match text.strip_prefix(streamed) {
            Some(rest) => {
                let rest = rest.to_owned();
                self.more(place, rest, shown)
            }
            None if streamed.trim() == text.trim() => Ok(()),
            None => {
                shown.push(Shown::Note(
                    "the server's last word on the text differs from what it streamed".to_owned(),
                ));
                self.parts.insert(place, Part::Contradicted);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, refusal: String) -> Result<(), AnswerFault> {
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
        shown: &mut Vec<Shown>,
    ) -> Result<(), AnswerFault> {
        match item.kind.as_str() {
            "message" => {
                for (content_index, content) in (0..).zip(item.content.0) {
                    let place = Place {
                        output_index,
                        content_index,
                    };
                    match (content.kind.as_str(), content.text, content.refusal) {
                        ("output_text", Some(text), _) => self.whole(place, &text, shown)?,
                        ("refusal", _, Some(refusal)) => self.refuse(refusal)?,
                        _ => {}
                    }
                }
            }
            "reasoning" => {}
            kind => {
                let name = name(item.name.as_deref().unwrap_or(kind));
                self.tool.get_or_insert_with(|| name.clone());
                shown.push(Shown::Note(format!(
                    "the model called the tool {name}; this is a chat client and runs none"
                )));
            }
        }
        Ok(())
    }

    fn end(&mut self, response: Response, shown: &mut Vec<Shown>) -> Result<(), AnswerFault> {
        if let (Some(begun), Some(ended)) = (&self.id, &response.id)
            && *begun != name(ended)
        {
            return Err(AnswerFault::Mixed);
        }
        self.usage = response.usage.map(|usage| usage.0);
        if let Some(model) = &response.model {
            self.model = Some(name(model));
        }
        if self.parts.is_empty() && self.refusal.is_empty() {
            // Some servers say it all at the end.
            for (index, item) in (0..).zip(response.output.0) {
                if item.kind == "message" || self.tool.is_none() {
                    self.item(index, item, shown)?;
                }
            }
        }
        if self.text.is_empty() && self.refusal.is_empty() {
            return Err(AnswerFault::Empty(self.tool.take()));
        }
        Ok(())
    }
}

/// A name that a server gave: as much of it as is shown.
fn name(of: &str) -> String {
    excerpt(of, MAX_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lenient::Count;

    /// What is shown of the given events, and how it ended.
    fn fold(events: &[&str]) -> (String, Answer, Result<bool, AnswerFault>) {
        let mut answer = Answer::default();
        let mut seen = String::new();
        for event in events {
            match answer.take(Event::parse(event).unwrap()) {
                Ok(shown) => {
                    for shown in shown {
                        match shown {
                            Shown::Text(text) => seen.push_str(&text),
                            Shown::Reasoning(text) => seen.push_str(&format!("<{text}>")),
                            Shown::Note(_) => seen.push('!'),
                            Shown::End => return (seen, answer, Ok(true)),
                        }
                    }
                }
                Err(fault) => return (seen, answer, Err(fault)),
            }
        }
        (seen, answer, Ok(false))
    }

    const CREATED: &str = r#"{"type":"response.created","response":{"id":"r","model":"m"}}"#;
    const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1,"output_tokens":2}}}"#;

    fn delta(text: &str, output: u64, content: u64) -> String {
        format!(
            r#"{{"type":"response.output_text.delta","delta":"{text}","output_index":{output},"content_index":{content}}}"#
        )
    }

    #[test]
    fn deltas_make_the_text() {
        let (a, b) = (delta("a ", 0, 0), delta("b", 0, 0));
        let done = r#"{"type":"response.output_text.done","text":"a b"}"#;
        let (seen, answer, end) = fold(&[CREATED, &a, &b, done, COMPLETED]);
        assert_eq!((seen.as_str(), answer.text.as_str()), ("a b", "a b"));
        assert_eq!(end, Ok(true));
        assert_eq!(answer.model.as_deref(), Some("m"));
        assert_eq!(
            answer.usage.map(|usage| usage.output_tokens),
            Some(Count(2))
        );
    }

    #[test]
    fn what_was_not_streamed_is_shown_in_the_end() {
        let item = r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"a b"}]}}"#;
        assert_eq!(fold(&[CREATED, item, COMPLETED]).0, "a b");
        assert_eq!(fold(&[&delta("a", 0, 0), item, COMPLETED]).0, "a b");
        let all = r#"{"type":"response.completed","response":{"output":[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"a b"}]}]}}"#;
        assert_eq!(fold(&[all]).0, "a b");
        assert_eq!(fold(&[&delta("a b", 0, 0), all]).0, "a b");
    }

    #[test]
    fn a_contradiction_is_noted_once() {
        let done = r#"{"type":"response.output_text.done","text":"c"}"#;
        assert_eq!(fold(&[&delta("a", 0, 0), done, done, COMPLETED]).0, "a!");
        let spaces = r#"{"type":"response.output_text.done","text":"a"}"#;
        assert_eq!(fold(&[&delta("a ", 0, 0), spaces, COMPLETED]).0, "a ");
    }

    #[test]
    fn contradictions_are_not_kept() {
        let mut answer = Answer::default();
        let done = |n: u64| {
            let text = "y".repeat(1 << 20);
            format!(r#"{{"type":"response.output_text.done","text":"{text}","content_index":{n}}}"#)
        };
        for n in 0..100 {
            answer
                .take(Event::parse(&delta("x", 0, n)).unwrap())
                .unwrap();
            answer.take(Event::parse(&done(n)).unwrap()).unwrap();
        }
        let kept = answer.parts.values().map(|part| match part {
            Part::Streamed(text) => text.len(),
            Part::Contradicted => 0,
        });
        assert_eq!(kept.sum::<usize>() + answer.text.len(), 100);
    }

    #[test]
    fn another_message_is_another_paragraph() {
        let (a, b, c) = (delta("a", 0, 0), delta("b", 0, 1), delta("c", 2, 0));
        assert_eq!(fold(&[&a, &b, &c]).0, "ab\n\nc");
    }

    #[test]
    fn reasoning_and_tools_are_no_text() {
        let reasoning = r#"{"type":"response.reasoning_summary_text.delta","delta":"hm"}"#;
        let part = r#"{"type":"response.reasoning_summary_part.added"}"#;
        let call = r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"shell","arguments":"{}"}}"#;
        let (seen, answer, _) = fold(&[part, reasoning, part, reasoning, call]);
        assert_eq!(
            (seen.as_str(), answer.text.as_str()),
            ("<hm><\n\n><hm>!", "")
        );
    }

    #[test]
    fn a_refusal_is_kept_apart() {
        let delta = r#"{"type":"response.refusal.delta","delta":"no"}"#;
        let done = r#"{"type":"response.refusal.done","refusal":"no"}"#;
        for events in [&[delta, done, COMPLETED][..], &[done, COMPLETED]] {
            let (seen, answer, end) = fold(events);
            assert_eq!((seen.as_str(), answer.refusal.as_str()), ("", "no"));
            assert_eq!(end, Ok(true));
        }
    }

    #[test]
    fn the_bad_ends() {
        for (event, says) in [
            (
                r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"oops"}}}"#,
                "the server failed: oops (server_error)",
            ),
            (
                r#"{"type":"response.failed","response":{}}"#,
                "the server failed: no reason given",
            ),
            (
                r#"{"type":"error","code":7,"message":"oops"}"#,
                "the server failed: oops (7)",
            ),
            (
                r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
                "the answer is incomplete: max_output_tokens",
            ),
            (COMPLETED, "there is no text in the answer, and no refusal"),
            (CREATED, "the server mixed two answers in one stream"),
            (
                r#"{"type":"response.completed","response":{"id":"other"}}"#,
                "the server mixed two answers in one stream",
            ),
        ] {
            let end = fold(&[CREATED, event]).2;
            assert_eq!(end.unwrap_err().to_string(), says);
        }
    }

    #[test]
    fn parts_without_end_are_an_error() {
        let mut answer = Answer::default();
        let fault = (0..).find_map(|n| answer.take(Event::parse(&delta("x", n, 0)).unwrap()).err());
        assert_eq!(fault, Some(AnswerFault::TooManyParts));
    }
}

//! What was said so far, and the request that carries it.
//!
//! Nothing is kept by the server (`store: false`), so every request repeats the conversation.

pub(crate) mod item;
pub(crate) mod request;

use crate::conversation::item::{Content, Item, Role};
use crate::events::answer::Answer;
use crate::prompt::attachments::Attachments;

/// Questions and answers in turn.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    items: Vec<Item>,
    /// Where the last answer begins.
    answer: usize,
}

/// A question: text, and what goes along with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) attached: Attachments,
}

impl Conversation {
    /// One that goes on.
    pub(crate) fn of(items: Vec<Item>) -> Self {
        let answer = items.len();
        Self { items, answer }
    }

    pub(crate) fn ask(&mut self, question: Question) {
        let text = Content::InputText {
            text: question.text,
        };
        let files = question.attached.files.into_iter();
        let files = files.map(|text| Content::InputText { text });
        let images = question
            .attached
            .images
            .into_iter()
            .map(|image_url| Content::InputImage { image_url });
        let content = std::iter::once(text).chain(files).chain(images).collect();
        self.items.push(Item::message(Role::User, content));
        self.answer = self.items.len();
    }

    /// The question that was asked last.
    pub(crate) fn last_question(&self) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.is_question())
    }

    /// Keeps what came of an answer. Of one that is not whole that is the text alone: nobody knows
    /// what the reasoning led to.
    pub(crate) fn answered(&mut self, answer: Answer, is_whole: bool) {
        self.answer = self.items.len();
        let (text, refusal) = (answer.text.clone(), answer.refusal.clone());
        let kept = if is_whole { answer.kept() } else { Vec::new() };
        if kept.iter().any(|item| item.role().is_some()) {
            self.items.extend(kept);
        } else if !text.is_empty() {
            self.items.push(Item::answer(text));
        }
        if !refusal.is_empty() {
            let refusal = Content::Refusal { refusal };
            self.items
                .push(Item::message(Role::Assistant, vec![refusal]));
        }
    }

    /// What came of the last question.
    pub(crate) fn last_answer(&self) -> &[Item] {
        self.items.get(self.answer..).unwrap_or_default()
    }

    /// Everything that was said.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Takes a question back that nothing came of.
    pub(crate) fn unask(&mut self) {
        if self.items.last().is_some_and(Item::is_question) {
            self.items.pop();
            self.answer = self.items.len();
        }
    }
}

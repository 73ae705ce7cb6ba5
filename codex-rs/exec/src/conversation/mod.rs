//! What was said so far, and the request that carries it.
//!
//! Nothing is kept by the server (`store: false`), so every request repeats the conversation.

pub(crate) mod request;

use serde::Serialize;

use crate::events::answer::Answer;
use crate::prompt::attachments::Attachments;

/// Questions and answers in turn.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    items: Vec<Item>,
}

/// One message, as the Responses API takes it.
#[derive(Debug, Serialize)]
struct Item {
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    content: Vec<Content>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content {
    InputText { text: String },
    InputImage { image_url: String },
    OutputText { text: String },
    Refusal { refusal: String },
}

/// A question: text, and what goes along with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) attached: Attachments,
}

impl Item {
    /// What the model is told about how to answer, beside its instructions.
    fn of_developer(text: &str) -> Self {
        Self {
            kind: "message",
            role: "developer",
            content: vec![Content::InputText {
                text: text.to_owned(),
            }],
        }
    }
}

impl Conversation {
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
        self.items.push(Item {
            kind: "message",
            role: "user",
            content: std::iter::once(text).chain(files).chain(images).collect(),
        });
    }

    /// Keeps what came of an answer, be it whole or not.
    pub(crate) fn answered(&mut self, answer: Answer) {
        let text = (!answer.text.is_empty()).then_some(Content::OutputText { text: answer.text });
        let refusal = (!answer.refusal.is_empty()).then_some(Content::Refusal {
            refusal: answer.refusal,
        });
        let content: Vec<Content> = text.into_iter().chain(refusal).collect();
        if !content.is_empty() {
            self.items.push(Item {
                kind: "message",
                role: "assistant",
                content,
            });
        }
    }

    /// Takes a question back that nothing came of.
    pub(crate) fn unask(&mut self) {
        if self.items.last().is_some_and(|item| item.role == "user") {
            self.items.pop();
        }
    }
}

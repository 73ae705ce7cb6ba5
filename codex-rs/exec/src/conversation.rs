//! What was said so far, and the request that carries it.
//!
//! Nothing is kept by the server (`store: false`), so every request repeats the conversation.

use serde::Serialize;

use crate::config::Config;
use crate::events::answer::Answer;

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

/// A question: text, and images as `data:` URLs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) images: Vec<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: &'a [Item],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    stream: bool,
    store: bool,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

impl Conversation {
    pub(crate) fn ask(&mut self, question: Question) {
        let text = Content::InputText {
            text: question.text,
        };
        let images = question
            .images
            .into_iter()
            .map(|image_url| Content::InputImage { image_url });
        self.items.push(Item {
            kind: "message",
            role: "user",
            content: std::iter::once(text).chain(images).collect(),
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

    /// The body of the request for the next answer.
    pub(crate) fn request(&self, config: &Config) -> Result<Vec<u8>, serde_json::Error> {
        let (effort, summary) = (config.effort.as_deref(), config.summary.as_deref());
        serde_json::to_vec(&Body {
            model: &config.model,
            instructions: config.instructions.as_deref(),
            input: &self.items,
            reasoning: (effort.is_some() || summary.is_some())
                .then_some(Reasoning { effort, summary }),
            stream: true,
            store: false,
        })
    }
}

//! One item of an answer: a message, reasoning, a call of a tool.

use serde::Deserialize;
use serde_json::Value;

use crate::conversation::item as conversation;
use crate::events::lenient::{BoundedList, Object, text};
use crate::transport::redact::Redactor;

/// An item, as far as a chat shows it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Item {
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(crate) kind: Option<String>,
    /// The server's name for it.
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: Option<String>,
    /// Of a message: who says it.
    #[serde(default, deserialize_with = "text")]
    role: Option<String>,
    /// Of a function that is called.
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: Option<String>,
    /// Of a message.
    #[serde(default)]
    pub(crate) content: BoundedList<Content>,
    /// Of reasoning.
    #[serde(default)]
    summary: BoundedList<Content>,
    /// Of reasoning: what only the server can read.
    #[serde(default, deserialize_with = "text")]
    encrypted_content: Option<String>,
    /// Of a web search.
    #[serde(default)]
    pub(crate) action: Object<Action>,
}

/// Reasoning that can be sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reasoning {
    id: Option<String>,
    summary: Vec<String>,
    encrypted_content: String,
}

impl From<Reasoning> for conversation::Item {
    fn from(reasoning: Reasoning) -> Self {
        let part = |text| serde_json::json!({"type": "summary_text", "text": text});
        let summary = reasoning.summary.into_iter().map(part).collect();
        let id = reasoning.id.map(|id| ("id".to_owned(), Value::String(id)));
        let fields = [
            ("type".to_owned(), Value::String("reasoning".to_owned())),
            ("summary".to_owned(), Value::Array(summary)),
            (
                "encrypted_content".to_owned(),
                Value::String(reasoning.encrypted_content),
            ),
        ];
        Self::Kept(fields.into_iter().chain(id).collect())
    }
}

/// A piece of a message, or of a summary.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Content {
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(crate) kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) text: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) refusal: Option<String>,
    /// Of text: what it refers to.
    #[serde(default)]
    pub(crate) annotations: BoundedList<Annotation>,
}

/// A source that a text refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Annotation {
    #[serde(default, deserialize_with = "text")]
    url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    title: Option<String>,
    /// Of a file that the server has.
    #[serde(default, deserialize_with = "text")]
    filename: Option<String>,
}

impl Annotation {
    /// Where it leads, and what that is called; `None` if it does not say.
    pub(crate) fn source(&self) -> Option<String> {
        let (title, url) = (self.title.as_deref(), self.url.as_deref());
        match (title.filter(|title| !title.trim().is_empty()), url) {
            (Some(title), Some(url)) => Some(format!("{title}: {url}")),
            (None, Some(url)) => Some(url.to_owned()),
            (_, None) => self.filename.clone(),
        }
    }
}

/// What a web search does: `search`, `open_page` or `find_in_page`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Action {
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(crate) kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) query: Option<String>,
    pub(crate) queries: Option<BoundedList<String>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) pattern: Option<String>,
}

impl Item {
    /// Whether it is a message of the model. Servers that do not say who speaks have nobody else speak.
    pub(crate) fn is_message(&self) -> bool {
        self.kind.as_deref() == Some("message")
            && self.role.as_deref().is_none_or(|role| role == "assistant")
    }

    /// The text of a message, its parts put together; `None` if there is no part with text.
    pub(crate) fn text(&self) -> Option<String> {
        let texts = self.content.0.iter().filter_map(Content::output_text);
        texts.map(str::to_owned).reduce(|all, text| all + &text)
    }

    /// The summary of reasoning, one paragraph a line; empty if there is none.
    pub(crate) fn summary(&self) -> String {
        let parts = self
            .summary
            .0
            .iter()
            .filter_map(|part| part.text.as_deref());
        parts.collect::<Vec<_>>().join("\n")
    }

    /// How large what is kept of reasoning is, in bytes.
    pub(super) fn size(&self) -> usize {
        self.encrypted_content.as_ref().map_or(0, String::len) + self.summary().len()
    }

    /// Reasoning in a form that can be sent back, if it came in one.
    pub(super) fn reasoning(&self) -> Option<Reasoning> {
        let summary = self.summary.0.iter();
        Some(Reasoning {
            id: self.id.clone(),
            summary: summary.filter_map(|part| part.text.clone()).collect(),
            encrypted_content: self.encrypted_content.clone()?,
        })
    }

    pub(super) fn redact(&mut self, redactor: &Redactor) {
        redactor.clean_in(&mut self.name);
        for part in &mut self.summary.0 {
            redactor.clean_in(&mut part.text);
        }
        for part in &mut self.content.0 {
            for source in &mut part.annotations.0 {
                for text in [&mut source.url, &mut source.title, &mut source.filename] {
                    redactor.clean_in(text);
                }
            }
        }
        let action = &mut self.action.0;
        for text in [&mut action.query, &mut action.url, &mut action.pattern] {
            redactor.clean_in(text);
        }
        for query in action.queries.iter_mut().flat_map(|list| &mut list.0) {
            redactor.clean_owned(query);
        }
    }
}

impl Content {
    /// The text, of a part that is text.
    pub(crate) fn output_text(&self) -> Option<&str> {
        let is_text = self.kind.as_deref() == Some("output_text");
        self.text.as_deref().filter(|_| is_text)
    }
}

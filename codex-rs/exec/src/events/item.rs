//! One item of an answer: a message, reasoning, a call of a tool.

use serde::Deserialize;

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
    /// Of a web search.
    #[serde(default)]
    pub(crate) action: Object<Action>,
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

    pub(super) fn redact(&mut self, redactor: &Redactor) {
        redactor.clean_in(&mut self.name);
        for part in &mut self.summary.0 {
            redactor.clean_in(&mut part.text);
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

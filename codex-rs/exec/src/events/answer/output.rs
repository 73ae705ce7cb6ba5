//! What the events of an answer come to, step by step.

use crate::events::item::Action;

/// What an event changes for whoever looks on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// More text of the answer.
    Text(String),
    /// More of a summary of the model's reasoning.
    Reasoning(String),
    /// Something about the answer that is not a part of it.
    Note(String),
    /// A web search begins.
    Searches(Search),
    /// An item is complete, and all of what it says.
    Done(Done),
    /// Nothing more comes.
    End,
}

/// An item that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Message(String),
    /// The summary.
    Reasoning(String),
    Search(Search),
}

/// A web search, which the server runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) action: Action,
}

impl Search {
    /// What is searched for: words, a page, or words in a page. `None` where the server does not say.
    pub(crate) fn what(&self) -> Option<String> {
        let action = &self.action;
        let words = action.query.clone().or_else(|| {
            let queries = &action.queries.0;
            (!queries.is_empty()).then(|| queries.join(", "))
        });
        words.or_else(|| match (&action.pattern, &action.url) {
            (Some(pattern), Some(url)) => Some(format!("'{pattern}' in {url}")),
            (None, Some(url)) => Some(url.clone()),
            _ => None,
        })
    }
}

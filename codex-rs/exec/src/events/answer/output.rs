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
    /// By which its beginning and its end are known to be of the same.
    pub(crate) id: String,
    pub(crate) action: Action,
}

impl Search {
    /// What is searched for: words, a page, or words in a page. `None` where the server does not say.
    pub(crate) fn what(&self) -> Option<String> {
        let action = &self.action;
        let query = action.query.clone().filter(|query| !query.is_empty());
        let queries = action.queries.iter().flat_map(|list| &list.0);
        let words = query.or_else(|| {
            let mut queries = queries;
            let first = queries.next()?;
            // As Codex has it.
            let more = if queries.next().is_some() { " ..." } else { "" };
            Some(format!("{first}{more}"))
        });
        words.or_else(|| match (&action.pattern, &action.url) {
            (Some(pattern), Some(url)) => Some(format!("'{pattern}' in {url}")),
            (None, Some(url)) => Some(url.clone()),
            _ => None,
        })
    }
}

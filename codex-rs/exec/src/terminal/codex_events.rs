//! The events of `codex exec --json`, one a line, as OpenAI's Codex CLI 0.171 prints them.

use serde::Serialize;
use uuid::Uuid;

use crate::events::Usage;
use crate::events::answer::{Done, Search};
use crate::events::item::Action;

/// How many searches may have begun and not ended, as far as they are known by name.
const MAX_SEARCHES: usize = 64;

/// The lines of one turn, and what they count.
#[derive(Debug, Default)]
pub(crate) struct CodexEvents {
    next_item: u32,
    has_begun: bool,
    /// Searches that have begun, by the server's names for them, and their items.
    searches: Vec<(String, u32)>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Line<'a> {
    #[serde(rename = "thread.started")]
    ThreadStarted { thread_id: &'a str },
    #[serde(rename = "turn.started")]
    TurnStarted,
    #[serde(rename = "item.started")]
    ItemStarted { item: Item<'a> },
    #[serde(rename = "item.completed")]
    ItemCompleted { item: Item<'a> },
    #[serde(rename = "turn.completed")]
    TurnCompleted { usage: Tokens },
    #[serde(rename = "turn.failed")]
    TurnFailed { error: Message<'a> },
    #[serde(rename = "error")]
    Error { message: &'a str },
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Item<'a> {
    /// `item_0`, `item_1` and so on.
    id: String,
    #[serde(flatten)]
    of: ItemOf<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ItemOf<'a> {
    AgentMessage {
        text: &'a str,
    },
    Reasoning {
        text: &'a str,
    },
    // Codex writes the server's id as a second `id`, which strict readers refuse.
    WebSearch {
        query: String,
        action: SearchAction<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum SearchAction<'a> {
    Search {
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        queries: Option<&'a [String]>,
    },
    OpenPage {
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
    },
    FindInPage {
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pattern: Option<&'a str>,
    },
    Other,
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "the names that Codex prints")]
struct Tokens {
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
}

impl CodexEvents {
    /// A turn begins.
    pub(crate) fn begin(&mut self, thread_id: &str) -> String {
        self.has_begun = true;
        lines(&[Line::ThreadStarted { thread_id }, Line::TurnStarted])
    }

    pub(crate) fn search_begins(&mut self, search: &Search) -> String {
        let id = self.id();
        if self.searches.len() == MAX_SEARCHES {
            self.searches.remove(0);
        }
        self.searches.push((search.id.clone(), id));
        lines(&[Line::ItemStarted {
            item: item(id, of_search(search)),
        }])
    }

    /// An item is complete.
    pub(crate) fn item(&mut self, done: &Done) -> String {
        let mut begin = String::new();
        let (id, of) = match done {
            Done::Message(text) => (self.id(), ItemOf::AgentMessage { text }),
            Done::Reasoning(text) => (self.id(), ItemOf::Reasoning { text }),
            Done::Search(search) => {
                let named = |name: &str| self.searches.iter().position(|(id, _)| id == name);
                // Some are named only at their end.
                let begun = named(&search.id).or_else(|| named(""));
                let id = match begun {
                    Some(at) => self.searches.remove(at).1,
                    None => {
                        begin = self.search_begins(search);
                        self.searches.pop().map_or(0, |(_, id)| id)
                    }
                };
                (id, of_search(search))
            }
        };
        begin + &lines(&[Line::ItemCompleted { item: item(id, of) }])
    }

    /// The same is asked for once more, and why. The words before the brackets are Codex's.
    pub(crate) fn reconnecting(n: u32, most: u32, why: &str) -> String {
        let message = format!("Reconnecting... {n}/{most} ({why})");
        lines(&[Line::Error { message: &message }])
    }

    pub(crate) fn completed(usage: Usage) -> String {
        let (input, output) = (usage.input_tokens_details.0, usage.output_tokens_details.0);
        lines(&[Line::TurnCompleted {
            usage: Tokens {
                input_tokens: usage.input_tokens.0,
                cached_input_tokens: input.cached_tokens.0,
                cache_write_input_tokens: input.cache_write_tokens.0,
                output_tokens: usage.output_tokens.0,
                reasoning_output_tokens: output.reasoning_tokens.0,
            },
        }])
    }

    /// The turn failed, perhaps before it could begin.
    pub(crate) fn failed(&mut self, message: &str) -> String {
        // Whoever reads this is told of a thread first, as ever.
        let begin = if self.has_begun {
            String::new()
        } else {
            self.begin(&Uuid::now_v7().to_string())
        };
        let error = Message { message };
        begin + &lines(&[Line::Error { message }, Line::TurnFailed { error }])
    }

    fn id(&mut self) -> u32 {
        let id = self.next_item;
        self.next_item += 1;
        id
    }
}

/// The last event of a stream whose server did not send one.
pub(crate) fn wire_error(message: &str) -> String {
    lines(&[Line::Error { message }])
}

fn item(id: u32, of: ItemOf<'_>) -> Item<'_> {
    Item {
        id: format!("item_{id}"),
        of,
    }
}

fn of_search(search: &Search) -> ItemOf<'_> {
    let Action {
        kind,
        query,
        queries,
        url,
        pattern,
    } = &search.action;
    ItemOf::WebSearch {
        query: search.what().unwrap_or_default(),
        action: match kind.as_deref() {
            Some("search") => SearchAction::Search {
                query: query.as_deref(),
                queries: queries.as_ref().map(|list| list.0.as_slice()),
            },
            Some("open_page") => SearchAction::OpenPage {
                url: url.as_deref(),
            },
            Some("find_in_page") => SearchAction::FindInPage {
                url: url.as_deref(),
                pattern: pattern.as_deref(),
            },
            _ => SearchAction::Other,
        },
    }
}

fn lines(of: &[Line<'_>]) -> String {
    let mut lines = String::new();
    for line in of {
        // Nothing in it has a form that JSON lacks.
        lines.extend(serde_json::to_string(line));
        lines.push('\n');
    }
    lines
}

//! Tools that the server runs, and names that it gives.

use super::Search;
use crate::events::item::Item;
use crate::terminal::printable::{MAX_NAME, excerpt};

/// The item of a search that the server runs.
pub(super) const WEB_SEARCH: &str = "web_search_call";

/// Items of other tools that the server runs.
pub(super) const RUN_BY_SERVER: [&str; 5] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
];

/// What is told of one.
pub(super) fn search(item: Item) -> Search {
    Search {
        id: name(&item.id.unwrap_or_default()),
        action: item.action.0,
    }
}

/// A name that a server gave: as much of it as is shown.
pub(super) fn name(of: &str) -> String {
    excerpt(of, MAX_NAME)
}

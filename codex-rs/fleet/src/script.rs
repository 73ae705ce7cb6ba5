//! The scripts that run in the server: each is atomic, and touches the keys of one limit.

use redis::Script;

/// What several of them begin with.
const WINDOW: &str = include_str!("window.lua");

/// Where it stands in them.
const MARK: &str = "--WINDOW--\n";

/// They are known to the server by their hash, once it has them.
pub(crate) struct Scripts {
    pub(crate) lease: Script,
    /// What that is the hash of.
    pub(crate) lease_text: String,
    pub(crate) show: Script,
    pub(crate) reset: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let whole = |text: &str| text.replacen(MARK, WINDOW, 1);
        let lease_text = whole(include_str!("lease.lua"));
        Self {
            lease: Script::new(&lease_text),
            lease_text,
            show: Script::new(&whole(include_str!("show.lua"))),
            reset: Script::new(&whole(include_str!("reset.lua"))),
        }
    }
}

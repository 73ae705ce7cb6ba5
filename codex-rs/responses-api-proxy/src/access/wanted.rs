//! What a request asks for, and by what it is judged.

use std::sync::Arc;

use codex_ledger::{Amounts, Estimate, Hidden};
use codex_policy::{Rules, Under};

/// By what one request is judged.
pub(crate) struct Terms {
    pub(crate) rules: Arc<Rules>,
    pub(crate) under: Under,
    /// A limit in dollars applies.
    pub(crate) in_usd: bool,
    /// As refusals name the caller.
    pub(crate) who: String,
    /// That of the table of the policy which applies.
    pub(crate) account: Arc<str>,
}

/// What a request that the policy allows asks for.
pub(crate) struct Wanted {
    pub(super) held: Held,
    pub(super) amounts: Amounts,
}

/// Whether there is a decision about a request.
pub(crate) enum Decided {
    /// It may go up.
    Reserved,
    /// It has to wait for what this host may spend of a limit that others share.
    NotYet(Wanted),
}

/// What was held for the request, and why so much.
pub(super) struct Held {
    /// That the request asks for; empty if it is a stored prompt's.
    pub(super) model: String,
    pub(super) tier: Option<String>,
    pub(super) bytes: u64,
    pub(super) estimate: Estimate,
    /// The most output that the request asks for, in tokens.
    pub(super) most_output: u64,
    /// How much of the output will not show.
    pub(super) hidden: Hidden,
}

//! What a store is told.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::limit::Limit;

/// What a store is told of a lease; not a change but how it is, so that it can be told twice.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of the account.
    pub account: Arc<str>,
    /// The limit; the least of those with this measure and this window.
    pub limit: Limit,
    /// Which counter of this process it is.
    pub number: u64,
    /// What this counter has come to; it never goes back.
    pub spent: u64,
    /// What it had come to before the window that runs.
    pub before_window: u64,
    /// What requests under way hold.
    pub held: u64,
    /// What has to be leased, at least: what is held, and what requests wait for.
    pub need: u64,
    /// What requests of the next two seconds may take, if they are as those of the last.
    pub ahead: u64,
    /// What this host goes on to have of what it was given, if not more is given: the rest is given back with this.
    pub keeps: u64,
    /// Whether more than that may be leased, for requests to come.
    pub is_in_use: bool,
    /// When it was made.
    pub(crate) at: Now,
}

impl Report {
    /// When it was made, by the clock that never jumps; for [`crate::Ledger::set_time`].
    #[must_use]
    pub fn made_at(&self) -> Duration {
        self.at.steady
    }
}

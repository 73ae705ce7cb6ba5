//! What a ledger answers: which limit stands in the way, and how much is left.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::limit::Limit;

/// Why a request may not be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose limit it is: the caller's account, or that of all callers together.
    pub account: Arc<str>,
    /// What stands in the way.
    pub what: Which,
    /// How much was asked for, in the unit of the limit; 0 at the head of a request, when it is not known yet.
    pub wanted: u64,
}

/// What stands in the way of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// What is left of a limit is not enough.
    Limit {
        /// The limit.
        limit: Limit,
        /// What was spent of it, in the unit of [`crate::Measure::of`].
        spent: u64,
        /// What requests that are under way hold of it.
        held: u64,
        /// When it will be enough by the calendar, or for a rolling window by its age; `None` if never.
        resets_at: Option<SystemTime>,
        /// The same, from now on.
        resets_in: Option<Duration>,
    },
    /// As many requests are under way as may be.
    Concurrent {
        /// How many.
        most: u32,
    },
    /// Hosts share the limit, and what this one has leased of it is not enough now; more is asked for.
    NotLeased {
        /// The limit.
        limit: Limit,
    },
    /// The same, and what hosts share cannot be asked for.
    StoreAway {
        /// The limit.
        limit: Limit,
    },
    /// The account is not in memory and the file cannot be read now ([`crate::Ledger::fault`] says why), so nobody
    /// knows what it has spent.
    Unreadable,
    /// More accounts are in use than a ledger keeps in memory.
    TooManyAccounts,
}

/// An answer under way will cost more than may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// Whose limit it is.
    pub account: Arc<str>,
    /// The limit.
    pub limit: Limit,
    /// What was spent of it, in the unit of [`crate::Measure::of`].
    pub spent: u64,
    /// What the requests that are under way hold of it, this one included.
    pub held: u64,
}

/// A charge has brought an account near a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Whose limit it is.
    pub account: Arc<str>,
    /// The limit.
    pub limit: Limit,
    /// 80 or 95: the highest that the charge has passed.
    pub percent: u8,
    /// What is spent of it now, in the unit of [`crate::Measure::of`].
    pub spent: u64,
    /// When nothing of it will be spent any more; `None` if never.
    pub resets_at: Option<SystemTime>,
}

/// What is spent of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In the unit of [`crate::Measure::of`].
    pub spent: u64,
    /// What requests that are under way hold, besides.
    pub held: u64,
    /// What this host may spend of it without asking a store; `None` where hosts share nothing.
    pub leased: Option<u64>,
    /// When nothing of it will be spent any more; `None` if never.
    pub resets_at: Option<SystemTime>,
}

/// What is left; `None` where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Of the limits in dollars, in billionths of one.
    pub nano_usd: Option<u64>,
    /// Of the limits in tokens.
    pub tokens: Option<u64>,
}

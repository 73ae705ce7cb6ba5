//! How much may be spent, and in which time.

use std::time::Duration;

use crate::amounts::Amounts;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Requests that were sent to the upstream.
    Requests,
    /// Tokens, of input and of output.
    Tokens,
    /// US dollars.
    Usd,
}

impl Measure {
    /// The part of `amounts` that is counted; of [`Measure::Usd`] in billionths of a dollar.
    #[must_use]
    pub fn of(self, amounts: &Amounts) -> u64 {
        match self {
            Self::Requests => amounts.requests,
            Self::Tokens => amounts.tokens,
            Self::Usd => amounts.nano_usd,
        }
    }
}

/// The time after which what was spent counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// From one full minute to the next.
    Minute,
    /// From one full hour to the next, in UTC.
    Hour,
    /// From midnight to midnight, in UTC.
    Day,
    /// From the first of a month to the first of the next, in UTC.
    Month,
    /// The last so many seconds, whenever that is; in steps of a sixtieth of it.
    Rolling(Duration),
    /// As long as this process runs.
    Process,
}

/// So much may be spent in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limit {
    /// What is limited.
    pub measure: Measure,
    /// The most of it, in the unit of [`Measure::of`].
    pub most: u64,
    /// In which time.
    pub window: Window,
}

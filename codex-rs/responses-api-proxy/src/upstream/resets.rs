//! How often requests may be cancelled on one HTTP/2 connection.
//!
//! Giving up a request resets its stream. Servers count resets, since a client that opens and resets
//! streams without end is an attack (CVE-2023-44487), and end the connection of one that exceeds their
//! limit, with every answer on it. So there is a budget. A request that is given up beyond it is
//! *parked*: nothing more is read of its answer, flow control stops the upstream at one window, and the
//! reset follows when the budget allows it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many resets may follow each other at once: all requests of a full connection, twice, because an
/// upload that breaks off takes one for each direction.
const BURST: u32 = 150;

/// After a burst, the time between two resets.
const INTERVAL: Duration = Duration::from_millis(50);

/// The resets of one connection, by the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug)]
pub(crate) struct ResetBudget {
    /// When the next reset would be due if they came evenly.
    due: Mutex<Instant>,
}

impl ResetBudget {
    pub(crate) fn new() -> Self {
        Self {
            due: Mutex::new(Instant::now()),
        }
    }

    /// Takes one reset, and says how long to wait before it is sent.
    pub(crate) fn reserve(&self) -> Duration {
        let now = Instant::now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = (*due).max(now);
        *due = mine + INTERVAL;
        mine.saturating_duration_since(now)
            .saturating_sub(INTERVAL * (BURST - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_what_follows_waits_its_turn() {
        let budget = ResetBudget::new();
        for _ in 0..BURST {
            assert_eq!(budget.reserve(), Duration::ZERO);
        }
        assert_eq!(budget.reserve(), INTERVAL);
        assert_eq!(budget.reserve(), INTERVAL * 2);
        tokio::time::advance(INTERVAL * 12).await;
        for _ in 0..10 {
            assert_eq!(budget.reserve(), Duration::ZERO);
        }
        assert_eq!(budget.reserve(), INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_earns_one_burst_and_no_more() {
        let budget = ResetBudget::new();
        tokio::time::advance(Duration::from_secs(3600)).await;
        for _ in 0..BURST {
            assert_eq!(budget.reserve(), Duration::ZERO);
        }
        assert_ne!(budget.reserve(), Duration::ZERO);
    }
}

//! A ledger whose limits hosts share: what is leased, what a store is told, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::account::Account;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::limit::Limit;
use crate::report::Report;

/// What becomes of requests that a lease is not enough for while the store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// They are refused.
    Refuse,
    /// Each host goes by what it knows: what all had spent when the store was last there, and what it has spent itself.
    Local,
    /// They are sent, and counted.
    Allow,
}

/// What a store answers to a [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What this host may spend beside what it has reported.
    pub left: u64,
    /// What all hosts have spent in the window that runs.
    pub spent: u64,
    /// What other hosts have leased and not spent.
    pub others: u64,
    /// How much of `left` this host should keep: it gives back the rest when it next reports.
    pub enough: u64,
}

/// How the store does.
pub(crate) struct Fleet {
    down: Down,
    ttl: Duration,
    is_away: AtomicBool,
    is_closing: AtomicBool,
    numbers: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    pub(crate) fn down(&self) -> Down {
        self.down
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn wake(&self) {
        (self.wake)();
    }
}

impl Ledger {
    /// A ledger of one host among those that share a store. Leases last for `ttl`; `wake` is called, often and from any
    /// thread, when [`Ledger::reports`] has something that cannot wait. Windows go by the store's clock.
    #[must_use]
    pub fn shared(
        clock: Clock,
        ttl: Duration,
        down: Down,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let fleet = Fleet {
            down,
            ttl,
            is_away: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            wake: Box::new(wake),
        };
        Self::of_a_fleet(clock.by_a_store(), fleet)
    }

    /// Leases of `limit` will be needed: before anybody asks for it.
    pub fn lease_ahead(&self, account: Arc<str>, limit: &Limit) {
        let Some(fleet) = &self.0.fleet else { return };
        let now = self.0.clock.now();
        let mut state = self.lock();
        let account = state
            .accounts
            .entry(account)
            .or_insert_with(|| Account::shared(fleet, now));
        account.look_at(std::slice::from_ref(limit), now);
    }

    /// What the store is to be told now: what is due, or of everything that is leased if `all`.
    #[must_use]
    pub fn reports(&self, all: bool) -> Vec<Report> {
        let Some(fleet) = &self.0.fleet else {
            return Vec::new();
        };
        let now = self.0.clock.now();
        let mut state = self.lock();
        let mut reports = Vec::new();
        for (name, account) in &mut state.accounts {
            account.look_at(&[], now);
            account.reports(name, now, fleet, all, &mut reports);
        }
        reports
    }

    /// What the store has answered.
    pub fn answered(&self, report: &Report, answer: &Answer) {
        let Some(fleet) = &self.0.fleet else { return };
        let now = self.0.clock.now();
        let mut state = self.lock();
        if let Some(account) = state.accounts.get_mut(&report.account) {
            account.answered(report, answer, now, fleet);
        }
    }

    /// The store's clock showed `store`, since the Unix epoch, at some moment between when a report was made and now.
    pub fn set_time(&self, store: Duration, made_at: Duration) {
        let now = self.0.clock.now();
        let half = now.steady.saturating_sub(made_at) / 2;
        self.0.clock.set_store(store, made_at.saturating_add(half));
    }

    /// Whether the store can be asked now.
    pub fn set_away(&self, is_away: bool) {
        if let Some(fleet) = &self.0.fleet {
            fleet.is_away.store(is_away, Ordering::Relaxed);
        }
    }

    /// From here on all that is not held is given back; [`Ledger::reports`] of all says so.
    pub fn give_back(&self) {
        if let Some(fleet) = &self.0.fleet {
            fleet.is_closing.store(true, Ordering::Relaxed);
        }
    }
}

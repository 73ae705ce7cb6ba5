//! The ledger: every account, and what the requests that are under way hold.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::Account;
use crate::amounts::Amounts;
use crate::answer::{Exceeded, Spent, Which};
use crate::clock::{Clock, Now};
use crate::error::LedgerError;
use crate::grant::Grant;
use crate::hold::{Mode, Subject, anything_left, refused};
use crate::limit::Limit;
use crate::shared::Fleet;
use crate::store::{Batch, Store, StoredHold};
use crate::tally::Tally;
use crate::writer::Writer;

/// More accounts than these in memory, and idle ones are put out of it.
pub(crate) const MANY_ACCOUNTS: usize = 10_000;

/// More accounts than these are not kept in memory.
const MOST_ACCOUNTS: usize = 100_000;

/// Who has spent how much; its clones are the same ledger.
#[derive(Clone, Debug)]
pub struct Ledger(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    state: Mutex<State>,
    pub(crate) store: Option<Store>,
    /// Of hosts that share a store; it has no file then.
    pub(crate) fleet: Option<Arc<Fleet>>,
    fault: Mutex<Option<String>>,
}

/// What the mutex keeps; no I/O happens under it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) accounts: HashMap<Arc<str>, Account>,
    pub(crate) holds: HashMap<u64, Hold>,
    next_hold: u64,
    /// Accounts that were put out of memory so far.
    gone: u64,
    /// The number of accounts at which a ledger without a file looks for idle ones.
    sweep_at: usize,
    /// Accounts whose rows in the file are not what is in memory. Empty without a file.
    changed: HashSet<Arc<str>>,
    /// Holds that are not in the file as they are in memory, or are no more. Empty without a file.
    changed_holds: HashSet<u64>,
}

/// What one request holds.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) subjects: Arc<[Subject]>,
    /// For each of the subjects.
    pub(crate) amounts: Vec<Amounts>,
    /// When, in seconds of Unix time.
    at: u64,
}

impl Ledger {
    /// A ledger that ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::in_memory_with(Clock::system())
    }

    /// The same, by another clock.
    #[must_use]
    pub fn in_memory_with(clock: Clock) -> Self {
        Self::new(clock, None, None)
    }

    /// A ledger in a file, which is open for reading and writing and is empty or was a ledger's before. What
    /// requests held when the ledger was last ended without [`Writer::close`] is charged.
    ///
    /// # Errors
    /// [`LedgerError`] if another process has it, it is something else, or it cannot be read or written.
    pub fn open(file: File) -> Result<(Self, Writer), LedgerError> {
        Self::open_with(file, Clock::system())
    }

    /// The same, by another clock.
    ///
    /// # Errors
    /// As those of [`Ledger::open`].
    pub fn open_with(file: File, clock: Clock) -> Result<(Self, Writer), LedgerError> {
        let store = Store::open(file, clock.now())?;
        let ledger = Self::new(clock, Some(store), None);
        let writer = Writer::new(ledger.clone());
        Ok((ledger, writer))
    }

    pub(crate) fn of_a_fleet(clock: Clock, fleet: Fleet) -> Self {
        Self::new(clock, None, Some(Arc::new(fleet)))
    }

    fn new(clock: Clock, store: Option<Store>, fleet: Option<Arc<Fleet>>) -> Self {
        let state = Mutex::new(State {
            sweep_at: MANY_ACCOUNTS,
            ..State::default()
        });
        Self(Arc::new(Shared {
            clock,
            state,
            store,
            fleet,
            fault: Mutex::new(None),
        }))
    }

    /// Reads accounts, and keeps them in memory from now on: those whose names are known before anybody asks.
    ///
    /// # Errors
    /// [`LedgerError`] if the file cannot be read.
    pub fn preload(&self, accounts: impl IntoIterator<Item = Arc<str>>) -> Result<(), LedgerError> {
        for name in accounts {
            let stored = self.read(&name)?;
            let now = self.0.clock.now();
            self.lock()
                .accounts
                .entry(name)
                .or_insert_with(|| self.account(stored, now))
                .pinned = true;
        }
        Ok(())
    }

    fn account(&self, stored: Vec<Tally>, now: Now) -> Account {
        match &self.0.fleet {
            None => Account::new(stored, now),
            Some(fleet) => Account::shared(fleet, now),
        }
    }

    /// At the head of a request: whether something is left of every limit, and a place among those under way. Nothing is
    /// taken yet, so a request that is never whole keeps no other one out.
    ///
    /// # Errors
    /// [`Exceeded`] if nothing is left, or no place is free.
    pub fn enter(&self, subjects: Arc<[Subject]>, mode: Mode) -> Result<Grant, Exceeded> {
        let (mut state, now) = self.with_accounts(&subjects)?;
        for subject in subjects.iter() {
            let Some(account) = state.accounts.get_mut(&subject.account) else {
                return Err(refused(subject, Which::Unreadable));
            };
            account.look_at(&subject.limits, now);
            anything_left(account, subject, now)
                .inspect_err(|exceeded| account.note_refused(exceeded, now))?;
            if let Some(most) = subject.concurrent
                && account.holds >= most
            {
                return Err(refused(subject, Which::Concurrent { most }));
            }
        }
        for subject in subjects.iter() {
            if let Some(account) = state.accounts.get_mut(&subject.account) {
                account.open = account.open.saturating_add(1);
            }
        }
        drop(state);
        Ok(Grant::new(self.clone(), subjects, mode))
    }

    /// What is spent of a limit: for headers and metrics. Of an account that cannot be read now, nothing.
    #[must_use]
    pub fn spent(&self, account: &str, limit: &Limit) -> Spent {
        let now = self.0.clock.now();
        if let Some(account) = self.lock().accounts.get_mut(account) {
            account.look_at(&[], now);
            return account.status(limit, now);
        }
        let Ok(stored) = self.read(account) else {
            return Spent::default();
        };
        let mut account = Account::new(stored, now);
        account.look_at(std::slice::from_ref(limit), now);
        account.status(limit, now)
    }

    /// Why the file cannot be written or read now, if so; requests go on, and what they cost is kept in memory.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.0
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_fault(&self, fault: Option<String>) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, account: &str) -> Result<Vec<Tally>, LedgerError> {
        let Some(store) = &self.0.store else {
            return Ok(Vec::new());
        };
        store.load(account).inspect_err(|error| {
            // The writer opens the file again when it sees this.
            let mut fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
            fault.get_or_insert_with(|| error.to_string());
        })
    }

    /// Locks with the accounts of all `subjects` in memory.
    fn with_accounts(
        &self,
        subjects: &[Subject],
    ) -> Result<(MutexGuard<'_, State>, Now), Exceeded> {
        let mut state = self.lock();
        loop {
            let now = self.0.clock.now();
            let missing = subjects
                .iter()
                .find(|subject| !state.accounts.contains_key(&subject.account));
            let Some(subject) = missing else {
                return Ok((state, now));
            };
            if self.0.store.is_none() && state.accounts.len() >= state.sweep_at {
                state.sweep(now, false);
                state.sweep_at = state
                    .accounts
                    .len()
                    .saturating_mul(2)
                    .clamp(MANY_ACCOUNTS, MOST_ACCOUNTS);
            }
            if state.accounts.len() >= MOST_ACCOUNTS {
                return Err(refused(subject, Which::TooManyAccounts));
            }
            let gone = state.gone;
            drop(state);
            let stored = self
                .read(&subject.account)
                .map_err(|_| refused(subject, Which::Unreadable))?;
            state = self.lock();
            // What was read may be older than what another request has brought in, spent and put out since.
            if state.gone == gone {
                state
                    .accounts
                    .entry(subject.account.clone())
                    .or_insert_with(|| self.account(stored, now));
            }
        }
    }

    /// Notes that the file has to follow.
    pub(crate) fn changed(&self, state: &mut State, subjects: &[Subject], hold: Option<u64>) {
        if self.0.store.is_some() {
            state
                .changed
                .extend(subjects.iter().map(|subject| subject.account.clone()));
            state.changed_holds.extend(hold);
        }
    }

    pub(crate) fn add_hold(
        &self,
        state: &mut State,
        subjects: &Arc<[Subject]>,
        amounts: Vec<Amounts>,
        now: Now,
    ) -> u64 {
        let number = state.next_hold;
        state.next_hold = number.wrapping_add(1);
        state.holds.insert(
            number,
            Hold {
                subjects: subjects.clone(),
                amounts,
                at: now.wall_seconds(),
            },
        );
        self.changed(state, subjects, Some(number));
        number
    }
}

impl State {
    /// Takes what the file does not have yet.
    pub(crate) fn take_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        for name in std::mem::take(&mut self.changed) {
            if let Some(account) = self.accounts.get(&name) {
                batch.accounts.push((name, account.tallies().to_vec()));
            }
        }
        for number in std::mem::take(&mut self.changed_holds) {
            let hold = self.holds.get(&number).map(|hold| StoredHold {
                at: hold.at,
                accounts: hold
                    .subjects
                    .iter()
                    .zip(&hold.amounts)
                    .map(|(subject, amounts)| (subject.account.to_string(), *amounts))
                    .collect(),
            });
            batch.holds.push((number, hold));
        }
        batch
    }

    /// The file has not taken a batch: it is still missing.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        self.changed
            .extend(batch.accounts.into_iter().map(|(name, _)| name));
        self.changed_holds
            .extend(batch.holds.into_iter().map(|(number, _)| number));
    }

    /// Puts idle accounts out of memory. `stored`: all that is not in `changed` is in the file.
    pub(crate) fn sweep(&mut self, now: Now, stored: bool) {
        let changed = &self.changed;
        let before = self.accounts.len();
        self.accounts
            .retain(|name, account| changed.contains(name) || !account.may_go(now, stored));
        if self.accounts.len() < before {
            self.gone = self.gone.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests;

//! Keeps the file up with what is in memory, on a thread of its own.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::LedgerError;
use crate::ledger::{Ledger, MANY_ACCOUNTS};
use crate::store::{Purge, Store};

/// What has changed is written so often.
const INTERVAL: Duration = Duration::from_millis(500);

/// After an error, so often.
const RETRY: Duration = Duration::from_secs(1);

/// Rows of windows that are over, and idle accounts, are looked for so often.
const UPKEEP: Duration = Duration::from_secs(3600);

/// Writes a ledger to its file.
#[derive(Debug)]
pub struct Writer {
    ledger: Ledger,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    stop: Sender<()>,
    /// What came of the last batch.
    done: Receiver<Result<(), LedgerError>>,
}

impl Writer {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            thread: None,
        }
    }

    /// Starts the thread that writes what has changed, twice a second. Nothing is written before.
    ///
    /// # Errors
    /// If the system does not start one.
    pub fn start(&mut self) -> io::Result<()> {
        if self.thread.is_some() {
            return Ok(());
        }
        let (stop, stopped) = channel();
        let (closed, done) = channel();
        let ledger = self.ledger.clone();
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                keep_up(&ledger, &stopped);
                // Nobody waits for it any more if the answer cannot be sent.
                let _ = closed.send(close(&ledger));
            })?;
        self.thread = Some(Thread { stop, done });
        Ok(())
    }

    /// Why the file cannot be written, if so.
    #[must_use]
    pub fn state(&self) -> Option<String> {
        self.ledger.fault()
    }

    /// Writes what has changed, makes the file smaller if that is worthwhile, and stops the thread.
    ///
    /// # Errors
    /// [`LedgerError`] if the file cannot be written, or not within that time.
    pub fn close(self, within: Duration) -> Result<(), LedgerError> {
        let Some(thread) = &self.thread else {
            return close(&self.ledger);
        };
        // A thread that is no more says so below.
        let _ = thread.stop.send(());
        thread.done.recv_timeout(within).unwrap_or_else(|error| {
            Err(LedgerError::Io(match error {
                RecvTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
                RecvTimeoutError::Disconnected => io::Error::other("the writing thread has ended"),
            }))
        })
    }
}

fn keep_up(ledger: &Ledger, stopped: &Receiver<()>) {
    let Some(store) = &ledger.0.store else { return };
    let mut wait = INTERVAL;
    let mut purge = Some(Purge::default());
    let mut upkeep = Instant::now();
    while matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
        wait = INTERVAL;
        let mut done = write(ledger, store);
        if done.is_ok() {
            let hourly = upkeep.elapsed() >= UPKEEP;
            if hourly {
                upkeep = Instant::now();
                purge = Some(Purge::default());
            }
            let mut state = ledger.lock();
            if hourly || state.accounts.len() > MANY_ACCOUNTS {
                state.sweep(ledger.0.clock.now(), true);
            }
            drop(state);
            if let Some(pass) = &mut purge {
                done = store.purge(pass, ledger.0.clock.now()).map(|over| {
                    if over {
                        purge = None;
                    }
                });
            }
        }
        if let Err(error) = done {
            ledger.set_fault(Some(error.to_string()));
            wait = RETRY;
        } else if ledger.0.store.is_some() {
            ledger.set_fault(None);
        }
    }
}

/// Writes what has changed; after an error before, opens the file again first.
fn write(ledger: &Ledger, store: &Store) -> Result<(), LedgerError> {
    if ledger.fault().is_some() {
        store.reopen()?;
    }
    let batch = ledger.lock().take_batch();
    if batch.is_empty() {
        return Ok(());
    }
    store
        .commit(&batch)
        .inspect_err(|_| ledger.lock().put_back(batch))
}

fn close(ledger: &Ledger) -> Result<(), LedgerError> {
    let Some(store) = &ledger.0.store else {
        return Ok(());
    };
    write(ledger, store)?;
    store.compact_if_worth_it(true)
}

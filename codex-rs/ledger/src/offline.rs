//! What can be done with a ledger's file while no process has it open.

use std::fs::File;
use std::io::{Read, Seek};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::amounts::Amounts;
use crate::clock::Clock;
use crate::error::LedgerError;
use crate::limit::Window;
use crate::store::Store;

/// What an account has spent in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of the account.
    pub account: String,
    /// Which window.
    pub window: Window,
    /// The first moment that is counted.
    pub start: SystemTime,
    /// What was spent since.
    pub amounts: Amounts,
}

/// What was spent in windows that run, by account; what was held when the ledger was last open counts as spent.
/// The file may be a copy, and open for reading only; it is not changed.
///
/// # Errors
/// [`LedgerError`] if a process has it open, or it is not a ledger.
pub fn read(file: &File) -> Result<Vec<Row>, LedgerError> {
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(LedgerError::Locked),
        Err(std::fs::TryLockError::Error(error)) => return Err(LedgerError::Io(error)),
    }
    let mut bytes = Vec::new();
    let mut from = file;
    let copied = from.rewind().and_then(|()| from.read_to_end(&mut bytes));
    file.unlock()?;
    if copied? == 0 {
        return Ok(Vec::new());
    }
    let now = Clock::system().now();
    let mut rows = Vec::new();
    for (account, mut tally) in Store::open_copy(&bytes, now)?.rows()? {
        tally.roll(now);
        let amounts = tally.amounts();
        if amounts != Amounts::default() {
            let start = UNIX_EPOCH.checked_add(tally.start()).unwrap_or(UNIX_EPOCH);
            rows.push(Row {
                account,
                window: tally.window(),
                start,
                amounts,
            });
        }
    }
    Ok(rows)
}

/// Forgets what `account`, or every account, has spent. Returns how many rows that were, one for each window.
///
/// # Errors
/// [`LedgerError`] if a process has it open, it is not a ledger, or it cannot be written.
pub fn reset(file: File, account: Option<&str>) -> Result<usize, LedgerError> {
    Store::open(file, Clock::system().now())?.reset(account)
}

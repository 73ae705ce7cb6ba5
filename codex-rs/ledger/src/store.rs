//! The file: a redb database with a row for each account and window, and one for each hold.

mod backend;
mod encoding;
mod opening;
mod positioned;
mod upkeep;

use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageBackend, TableDefinition, WriteTransaction,
};

use self::backend::LockedFile;
use self::encoding::{WindowCode, WindowValue, hold_value, tally_of, window_code, window_value};
use self::opening::{begin_tables, charge_holds};
pub(crate) use self::upkeep::Purge;
use crate::amounts::Amounts;
use crate::clock::Now;
use crate::error::LedgerError;
use crate::tally::Tally;

/// The version of the tables below.
const FORMAT: u64 = 1;

/// redb keeps so many bytes of the file in memory.
const CACHE: usize = 8 * 1024 * 1024;

/// An account, and one of its windows ([`window_code`]).
type WindowKey<'a> = (&'a str, u8, u64, u32);

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("codex_ledger");
/// By account and window.
const WINDOWS: TableDefinition<'_, WindowKey<'_>, WindowValue<'_>> =
    TableDefinition::new("windows_1");
/// By the number of the start of the process and that of the hold; when it began, and who holds what.
const HOLDS: TableDefinition<'_, (u64, u64), (u64, &[u8])> = TableDefinition::new("holds_1");

/// An open file.
pub(crate) struct Store {
    /// To open it again after an I/O error, after which redb does nothing more.
    file: Option<LockedFile>,
    database: Mutex<Option<Arc<Database>>>,
    /// Counts the processes that have opened this file.
    start: u64,
}

/// What the file does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) accounts: Vec<(Arc<str>, Vec<Tally>)>,
    /// `None` of a hold that is no more.
    pub(crate) holds: Vec<(u64, Option<StoredHold>)>,
}

#[derive(Debug)]
pub(crate) struct StoredHold {
    /// When it began, in seconds of Unix time.
    pub(crate) at: u64,
    pub(crate) accounts: Vec<(String, Amounts)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.holds.is_empty()
    }
}

impl Store {
    /// Opens a file, and charges what was held when it was closed last.
    pub(crate) fn open(file: File, now: Now) -> Result<Self, LedgerError> {
        let file = LockedFile::new(file)?;
        let store = Self::begin(open_database(file.clone())?, Some(file), now)?;
        store.compact_if_worth_it(false)?;
        Ok(store)
    }

    /// The same with a copy in memory: the file does not change.
    pub(crate) fn open_copy(bytes: &[u8], now: Now) -> Result<Self, LedgerError> {
        let backend = InMemoryBackend::new();
        backend.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        backend.write(0, bytes)?;
        Self::begin(open_database(backend)?, None, now)
    }

    fn begin(database: Database, file: Option<LockedFile>, now: Now) -> Result<Self, LedgerError> {
        let start = guarded(|| {
            let transaction = begin_write(&database)?;
            let start = begin_tables(&transaction)?;
            charge_holds(&transaction, now)?;
            transaction.commit().map_err(of_redb)?;
            Ok(start)
        })?;
        Ok(Self {
            file,
            database: Mutex::new(Some(Arc::new(database))),
            start,
        })
    }

    /// Everything that is known of an account; nothing if it was never stored.
    pub(crate) fn load(&self, account: &str) -> Result<Vec<Tally>, LedgerError> {
        let database = self.database()?;
        guarded(|| tallies_of(&windows(&database)?, account))
    }

    /// Writes a batch, all of it or nothing, and returns when it is on the disk.
    pub(crate) fn commit(&self, batch: &Batch) -> Result<(), LedgerError> {
        let database = self.database()?;
        guarded(|| {
            let transaction = begin_write(&database)?;
            for (name, tallies) in &batch.accounts {
                write_tallies(&transaction, name, tallies)?;
            }
            {
                let mut holds = transaction.open_table(HOLDS).map_err(of_redb)?;
                for (number, hold) in &batch.holds {
                    let key = (self.start, *number);
                    match hold {
                        Some(hold) => {
                            holds.insert(key, (hold.at, hold_value(&hold.accounts).as_slice()))
                        }
                        None => holds.remove(key),
                    }
                    .map_err(of_redb)?;
                }
            }
            transaction.commit().map_err(of_redb)
        })
    }

    /// Opens the file again after an error. Rows that were written before are there; what the last batch had is not.
    pub(crate) fn reopen(&self) -> Result<(), LedgerError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut slot = self.slot();
        if let Some(database) = slot.take() {
            // Two databases on one file would overwrite each other: whoever reads now has to be ready first.
            match Arc::try_unwrap(database) {
                Ok(database) => guarded(|| {
                    drop(database);
                    Ok(())
                })?,
                Err(database) => {
                    *slot = Some(database);
                    return Err(LedgerError::Io(std::io::ErrorKind::ResourceBusy.into()));
                }
            }
        }
        drop(slot);
        let database = open_database(file.clone())?;
        *self.slot() = Some(Arc::new(database));
        Ok(())
    }

    /// All rows, by account.
    pub(crate) fn rows(&self) -> Result<Vec<(String, Tally)>, LedgerError> {
        let database = self.database()?;
        guarded(|| {
            let table = windows(&database)?;
            let mut rows = Vec::new();
            for row in table.iter().map_err(of_redb)? {
                let (key, value) = row.map_err(of_redb)?;
                let (account, kind, seconds, nanos) = key.value();
                rows.push((
                    account.to_owned(),
                    stored_tally((kind, seconds, nanos), value.value())?,
                ));
            }
            Ok(rows)
        })
    }

    /// Forgets what an account, or everybody, has spent. Returns how many rows that were.
    pub(crate) fn reset(&self, account: Option<&str>) -> Result<usize, LedgerError> {
        let database = self.database()?;
        guarded(|| {
            let transaction = begin_write(&database)?;
            let removed = {
                let mut table = transaction.open_table(WINDOWS).map_err(of_redb)?;
                let before = table.len().map_err(of_redb)?;
                table
                    .retain(|(name, ..), _| account.is_some_and(|account| name != account))
                    .map_err(of_redb)?;
                before.saturating_sub(table.len().map_err(of_redb)?)
            };
            transaction.commit().map_err(of_redb)?;
            Ok(usize::try_from(removed).unwrap_or(usize::MAX))
        })
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Database>>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Result<Arc<Database>, LedgerError> {
        self.slot()
            .clone()
            .ok_or_else(|| LedgerError::Damaged("it could not be opened again".to_owned()))
    }

    /// Makes the disk full, or not.
    #[cfg(test)]
    pub(crate) fn set_full(&self, full: bool) {
        if let Some(file) = &self.file {
            file.full.store(full, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

fn open_database(backend: impl StorageBackend) -> Result<Database, LedgerError> {
    guarded(|| {
        Builder::new()
            .set_cache_size(CACHE)
            .create_with_backend(backend)
            .map_err(of_redb)
    })
}

/// Each commit says which pages are in use, so that the file opens at once after a crash, however large it is.
fn begin_write(database: &Database) -> Result<WriteTransaction, LedgerError> {
    let mut transaction = database.begin_write().map_err(of_redb)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// All rows as they are now.
fn windows(
    database: &Database,
) -> Result<ReadOnlyTable<WindowKey<'static>, WindowValue<'static>>, LedgerError> {
    let reading = database.begin_read().map_err(of_redb)?;
    reading.open_table(WINDOWS).map_err(of_redb)
}

fn tallies_of(
    table: &impl ReadableTable<WindowKey<'static>, WindowValue<'static>>,
    account: &str,
) -> Result<Vec<Tally>, LedgerError> {
    let keys = (account, 0, 0, 0)..=(account, u8::MAX, u64::MAX, u32::MAX);
    let mut tallies = Vec::new();
    for row in table.range(keys).map_err(of_redb)? {
        let (key, value) = row.map_err(of_redb)?;
        let (_, kind, seconds, nanos) = key.value();
        tallies.push(stored_tally((kind, seconds, nanos), value.value())?);
    }
    Ok(tallies)
}

fn stored_tally(code: WindowCode, value: WindowValue<'_>) -> Result<Tally, LedgerError> {
    tally_of(code, value).ok_or_else(|| LedgerError::Damaged("a window".to_owned()))
}

fn write_tallies(
    transaction: &WriteTransaction,
    account: &str,
    tallies: &[Tally],
) -> Result<(), LedgerError> {
    let mut table = transaction.open_table(WINDOWS).map_err(of_redb)?;
    for tally in tallies {
        let Some((kind, seconds, nanos)) = window_code(tally.window()) else {
            continue;
        };
        let (start, amounts, steps) = window_value(tally);
        let value = (
            start,
            amounts.requests,
            amounts.tokens,
            amounts.nano_usd,
            steps.as_slice(),
        );
        table
            .insert((account, kind, seconds, nanos), value)
            .map_err(of_redb)?;
    }
    Ok(())
}

fn of_redb(error: impl Into<redb::Error>) -> LedgerError {
    error.into().into()
}

/// redb panics where a damaged file contradicts itself.
fn guarded<T>(what: impl FnOnce() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|_| {
        Err(LedgerError::Damaged(
            "its parts contradict each other".to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests;

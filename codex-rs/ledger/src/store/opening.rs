//! What is done when a file is opened.

use std::time::Duration;

use redb::{ReadableTable, WriteTransaction};

use super::encoding::hold_of;
use super::{FORMAT, HOLDS, META, WINDOWS, of_redb, tallies_of, write_tallies};
use crate::account::Account;
use crate::clock::Now;
use crate::error::LedgerError;

/// Makes the tables of a new file. Returns how many times the file has been opened.
pub(super) fn begin_tables(transaction: &WriteTransaction) -> Result<u64, LedgerError> {
    let is_new = transaction.list_tables().map_err(of_redb)?.next().is_none();
    let mut meta = transaction.open_table(META).map_err(of_redb)?;
    if is_new {
        meta.insert("format", FORMAT).map_err(of_redb)?;
    }
    let number =
        |name| Ok::<_, LedgerError>(meta.get(name).map_err(of_redb)?.map(|value| value.value()));
    let found = number("format")?.ok_or(LedgerError::NotALedger)?;
    if found != FORMAT {
        return Err(LedgerError::Version {
            found,
            expected: FORMAT,
        });
    }
    let start = number("starts")?.unwrap_or(0).saturating_add(1);
    meta.insert("starts", start).map_err(of_redb)?;
    transaction.open_table(WINDOWS).map_err(of_redb)?;
    transaction.open_table(HOLDS).map_err(of_redb)?;
    Ok(start)
}

/// Turns holds that nobody has settled into charges, of the window that runs now or of a later one.
pub(super) fn charge_holds(transaction: &WriteTransaction, now: Now) -> Result<(), LedgerError> {
    let mut holds = Vec::new();
    {
        let mut table = transaction.open_table(HOLDS).map_err(of_redb)?;
        for row in table.iter().map_err(of_redb)? {
            let (_, value) = row.map_err(of_redb)?;
            let (at, bytes) = value.value();
            holds.push((
                at,
                hold_of(bytes).ok_or_else(|| LedgerError::Damaged("a hold".to_owned()))?,
            ));
        }
        table.retain(|_, _| false).map_err(of_redb)?;
    }
    for (at, accounts) in holds {
        let at = Duration::from_secs(at);
        let then = Now {
            wall: now.wall.max(at),
            steady: now.steady.max(at),
            host: now.host,
        };
        for (name, amounts) in accounts {
            let table = transaction.open_table(WINDOWS).map_err(of_redb)?;
            let stored = tallies_of(&table, &name)?;
            drop(table);
            let mut account = Account::new(stored, then);
            account.charge(amounts);
            write_tallies(transaction, &name, account.tallies())?;
        }
    }
    Ok(())
}

//! Keeps the file small.

use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableDatabase, ReadableTableMetadata};

use super::{HOLDS, Store, WINDOWS, begin_write, guarded, of_redb, stored_tally};
use crate::calendar::window_at;
use crate::clock::Now;
use crate::error::LedgerError;
use crate::limit::Window;
use crate::tally::Tally;

/// Smaller files are left as they are; an empty one of redb's has a little more than 1 MiB.
const SMALL: u64 = 2 * 1024 * 1024;

/// A row takes about so many bytes: to tell whether it may be worthwhile to count what is in use.
const ROW: u64 = 256;

/// A step of a pass through the file looks at so many rows.
const ROWS_AT_A_TIME: usize = 2_000;

const DAY: Duration = Duration::from_secs(86_400);

/// How far a pass through the file has come.
#[derive(Debug, Default)]
pub(crate) struct Purge {
    after: Option<(String, u8, u64, u32)>,
}

impl Store {
    /// Removes rows of windows that are long over, a bounded number at a time. Returns whether the pass is over.
    pub(crate) fn purge(&self, purge: &mut Purge, now: Now) -> Result<bool, LedgerError> {
        let database = self.database()?;
        guarded(|| {
            let mut over = Vec::new();
            let mut last = None;
            {
                let table = database
                    .begin_read()
                    .map_err(of_redb)?
                    .open_table(WINDOWS)
                    .map_err(of_redb)?;
                let after = purge.after.clone().unwrap_or_default();
                let rows = table
                    .range((after.0.as_str(), after.1, after.2, after.3)..)
                    .map_err(of_redb)?;
                let mut seen = 0;
                for row in rows {
                    let (key, value) = row.map_err(of_redb)?;
                    let (account, kind, seconds, nanos) = key.value();
                    let key = (account.to_owned(), kind, seconds, nanos);
                    if is_long_over(&stored_tally((kind, seconds, nanos), value.value())?, now) {
                        over.push(key.clone());
                    }
                    seen += 1;
                    if seen > ROWS_AT_A_TIME {
                        last = Some(key);
                        break;
                    }
                }
            }
            if !over.is_empty() {
                let transaction = begin_write(&database)?;
                {
                    let mut table = transaction.open_table(WINDOWS).map_err(of_redb)?;
                    for (account, kind, seconds, nanos) in &over {
                        table
                            .remove((account.as_str(), *kind, *seconds, *nanos))
                            .map_err(of_redb)?;
                    }
                }
                transaction.commit().map_err(of_redb)?;
            }
            purge.after = last;
            Ok(purge.after.is_none())
        })
    }

    /// Makes the file smaller if more than half of it is not in use. Counting that reads all of it, which is not
    /// done at the start (unless `thorough`) if the number of rows says otherwise.
    pub(crate) fn compact_if_worth_it(&self, thorough: bool) -> Result<(), LedgerError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let length = redb::StorageBackend::len(file)?;
        if length <= SMALL {
            return Ok(());
        }
        let mut slot = self.slot();
        let Some(database) = slot.as_mut().and_then(Arc::get_mut) else {
            return Ok(());
        };
        guarded(|| {
            let rows = {
                let transaction = database.begin_read().map_err(of_redb)?;
                let windows = transaction
                    .open_table(WINDOWS)
                    .map_err(of_redb)?
                    .len()
                    .map_err(of_redb)?;
                let holds = transaction
                    .open_table(HOLDS)
                    .map_err(of_redb)?
                    .len()
                    .map_err(of_redb)?;
                windows.saturating_add(holds)
            };
            let estimate = rows.saturating_mul(ROW).max(SMALL);
            if !thorough && length / 2 <= estimate {
                return Ok(());
            }
            let in_use = {
                let transaction = database.begin_write().map_err(of_redb)?;
                let stats = transaction.stats().map_err(of_redb)?;
                let page = u64::try_from(stats.page_size()).unwrap_or(4096);
                transaction.abort().map_err(of_redb)?;
                stats.allocated_pages().saturating_mul(page)
            };
            if length / 2 > in_use {
                database.compact().map_err(of_redb)?;
                // So that the file opens at once also if the process is killed now.
                begin_write(database)?.commit().map_err(of_redb)?;
            }
            Ok(())
        })
    }
}

/// Whether a window ended so long ago that no clock that is a little wrong makes it run again.
fn is_long_over(tally: &Tally, now: Now) -> bool {
    // A wall clock that was set ahead is not believed alone.
    let now = now.wall.min(now.steady);
    let slack = if tally.window() == Window::Month {
        DAY * 31
    } else {
        DAY * 2
    };
    let end = match tally.window() {
        Window::Process => return true,
        Window::Rolling(length) => tally.start().saturating_add(length.saturating_mul(2)),
        window => match window_at(window, tally.start().as_secs()) {
            Some((_, end)) => Duration::from_secs(end),
            None => return true,
        },
    };
    end.saturating_add(slack) < now
}

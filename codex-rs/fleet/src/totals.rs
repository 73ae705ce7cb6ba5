//! What all hosts have spent, for an operator.

use std::collections::BTreeSet;

use codex_ledger::{Measure, Window};

use crate::error::StoreError;
use crate::keys;
use crate::store::{Store, numbers};

/// How many keys the server looks at in one step.
const STEP: usize = 1000;

/// What is spent of one limit by all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The name of the account.
    pub account: String,
    /// What is counted.
    pub measure: Measure,
    /// In which window.
    pub window: Window,
    /// What is spent in the window that runs, in the unit of [`Measure::of`].
    pub spent: u64,
    /// What hosts have leased and not spent, as far as they have reported.
    pub leased: u64,
    /// The limit, as the host that reported last has it.
    pub most: u64,
    /// How many proxies have reported: those that run, and those that ended within the window.
    pub hosts: u64,
}

impl Store {
    /// All limits of which the server knows anything, by account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn totals(&mut self) -> Result<Vec<Total>, StoreError> {
        let mut connection = self.connected().await?;
        let mut totals = Vec::new();
        for key in self.keys().await? {
            let Some((account, measure, window, names)) = keys::parse(self.prefix(), &key) else {
                continue;
            };
            let mut call = self.scripts.show.prepare_invoke();
            for name in &names {
                call.key(name);
            }
            call.arg(keys::window_name(window));
            let found = call.invoke_async(&mut connection).await?;
            let [spent, leased, most, hosts] = numbers(found)?;
            totals.push(Total {
                account,
                measure,
                window,
                spent,
                leased,
                most,
                hosts,
            });
        }
        Ok(totals)
    }

    /// Forgets what `account`, or every account, has spent in windows that run. Leases stay, and what hosts report from
    /// here on counts. Returns of how many limits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset(&mut self, account: Option<&str>) -> Result<usize, StoreError> {
        let mut connection = self.connected().await?;
        let mut count = 0;
        for key in self.keys().await? {
            let Some((found, _, window, names)) = keys::parse(self.prefix(), &key) else {
                continue;
            };
            if account.is_some_and(|account| account != found) {
                continue;
            }
            let mut call = self.scripts.reset.prepare_invoke();
            for name in &names {
                call.key(name);
            }
            call.arg(keys::window_name(window));
            let spent: i64 = call.invoke_async(&mut connection).await?;
            count += usize::from(spent > 0);
        }
        Ok(count)
    }

    async fn keys(&mut self) -> Result<BTreeSet<String>, StoreError> {
        let mut connection = self.connected().await?;
        let pattern = keys::pattern(self.prefix());
        let mut found = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(STEP)
                .query_async(&mut connection)
                .await?;
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                return Ok(found);
            }
        }
    }
}

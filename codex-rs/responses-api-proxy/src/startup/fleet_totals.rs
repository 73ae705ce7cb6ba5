//! What all hosts that share a server have spent, for an operator: `budget show`, `budget top` and `budget reset`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use codex_fleet::{Dialer, Lookup, Store, StoreAddress, StoreError, Total};

use crate::access::over_limit::{amount, per};
use crate::observe::printable::printable_within;
use crate::startup::fleet::{read_password, tls_for};

/// How much is printed of the name of an account, in bytes.
const NAME_SHOWN: usize = 256;

/// The server that hosts share.
pub(super) struct Server {
    pub(super) address: StoreAddress,
    pub(super) password_file: Option<PathBuf>,
    pub(super) prefix: String,
}

impl Server {
    /// Makes a connection for one purpose.
    fn ask<T>(
        self,
        what: impl AsyncFnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> anyhow::Result<T> {
        let shown = self.address.to_string();
        let password = self.password_file.as_deref();
        let password = password.map(|path| read_password(path, None)).transpose()?;
        let tls = tls_for(&self.address)?;
        let lookup: Lookup = Arc::new(|host| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((host, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        });
        let dialer = Dialer::new(self.address, tls, lookup);
        let mut store = Store::new(dialer, password, &self.prefix);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot start")?;
        runtime.block_on(what(&mut store)).context(shown)
    }
}

/// All limits, by account.
///
/// # Errors
///
/// A server that does not answer.
pub(super) fn show(server: Server) -> anyhow::Result<()> {
    let totals = server.ask(async |store| store.totals().await)?;
    print(&totals)
}

/// Those of which most is spent.
///
/// # Errors
///
/// A server that does not answer.
pub(super) fn top(server: Server, number: usize) -> anyhow::Result<()> {
    let mut totals = server.ask(async |store| store.totals().await)?;
    totals.sort_by(|a, b| part_spent(b).total_cmp(&part_spent(a)));
    totals.truncate(number);
    print(&totals)
}

/// # Errors
///
/// A server that does not answer.
pub(super) fn forget(server: Server, account: Option<&str>) -> anyhow::Result<()> {
    let removed = server.ask(async |store| store.reset(account).await)?;
    writeln!(io::stdout(), "{removed} removed")?;
    Ok(())
}

fn part_spent(total: &Total) -> f64 {
    total.spent as f64 / total.most.max(1) as f64
}

fn print(totals: &[Total]) -> anyhow::Result<()> {
    let mut output = io::stdout();
    if totals.is_empty() {
        writeln!(output, "nobody has spent anything")?;
    }
    for total in totals {
        writeln!(output, "{}", line(total))?;
    }
    Ok(())
}

fn line(total: &Total) -> String {
    let of = |value| amount(total.measure, value);
    format!(
        "{} per {}: {} of {} spent ({:.0} %), {} leased, {} {}",
        // Whoever can write to the server chooses what names are there.
        printable_within(&total.account, NAME_SHOWN),
        per(total.window),
        of(total.spent),
        of(total.most),
        part_spent(total) * 100.0,
        of(total.leased),
        total.hosts,
        if total.hosts == 1 { "host" } else { "hosts" }
    )
}

#[cfg(test)]
mod tests {
    use codex_ledger::{Measure, Window};

    use super::*;

    #[test]
    fn a_line_says_how_much_of_which_limit_all_hosts_have_spent() {
        let total = Total {
            account: "group:agents".to_owned(),
            measure: Measure::Usd,
            window: Window::Day,
            spent: 12_500_000_000,
            leased: 1_000_000_000,
            most: 50_000_000_000,
            hosts: 3,
        };
        assert_eq!(
            line(&total),
            "group:agents per day: $12.50 of $50.00 spent (25 %), $1.00 leased, 3 hosts"
        );
        let evil = Total {
            account: "\u{1b}[2J\nroot".to_owned(),
            ..total
        };
        assert!(
            line(&evil).starts_with("\\u{1b}[2J\\nroot per day: "),
            "{}",
            line(&evil)
        );
    }
}

//! `budget show`, `budget reset` and `budget top`: what they read, change and print.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use codex_ledger::{Measure, read, reset};

use crate::access::over_limit::{amount, per};
use crate::config::command::{BudgetCommand, LedgerArgs, ResetArgs};
use crate::config::ledger_place::as_address;
use crate::observe::timestamp::Rfc3339;
use crate::startup::fleet_totals::{self, Server};

/// # Errors
///
/// A ledger that cannot be read, or that a proxy has.
pub(crate) fn run(command: &BudgetCommand) -> anyhow::Result<ExitCode> {
    match command {
        BudgetCommand::Show(args) => match server(args)? {
            Some(server) => fleet_totals::show(server)?,
            None => show(args)?,
        },
        BudgetCommand::Reset(args) => match server(&args.of)? {
            Some(server) => fleet_totals::forget(server, args.account.as_deref())?,
            None => forget(args)?,
        },
        BudgetCommand::Top(args) => match server(&args.of)? {
            Some(server) => fleet_totals::top(server, args.number)?,
            None => bail!(
                "top is about a server that hosts share (--ledger redis://HOST:PORT/DB); `budget show` says what is in a \
                 file"
            ),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// The server that is meant; `None` if it is a file.
///
/// # Errors
///
/// What is wrong with its address.
fn server(args: &LedgerArgs) -> anyhow::Result<Option<Server>> {
    let address = as_address(&args.ledger).transpose();
    // Without the address: there may be a password in it.
    let address = address.context("--ledger")?;
    Ok(address.map(|address| Server {
        address,
        password_file: args.server.ledger_password_file.clone(),
        prefix: args.server.ledger_prefix.clone(),
    }))
}

fn show(args: &LedgerArgs) -> anyhow::Result<()> {
    let of = || args.ledger.display().to_string();
    let rows = read(&open(&args.ledger)?).with_context(of)?;
    let mut output = io::stdout();
    if rows.is_empty() {
        writeln!(output, "nobody has spent anything")?;
    }
    for row in rows {
        let spent: Vec<String> = [Measure::Requests, Measure::Tokens, Measure::Usd]
            .into_iter()
            .map(|measure| amount(measure, measure.of(&row.amounts)))
            .collect();
        let since = Rfc3339(row.start);
        writeln!(
            output,
            "{} per {} (since {since}): {}",
            row.account,
            per(row.window),
            spent.join(", ")
        )?;
    }
    Ok(())
}

fn forget(args: &ResetArgs) -> anyhow::Result<()> {
    let of = || args.of.ledger.display().to_string();
    let file = open(&args.of.ledger)?;
    let removed = reset(file, args.account.as_deref()).with_context(of)?;
    writeln!(io::stdout(), "{removed} removed")?;
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    let of = || path.display().to_string();
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .with_context(of)
}

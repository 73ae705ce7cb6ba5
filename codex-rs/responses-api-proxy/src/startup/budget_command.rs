//! `budget show` and `budget reset`: what they read, change and print.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use codex_ledger::{Measure, read, reset};

use crate::access::over_limit::{amount, per};
use crate::config::command::{BudgetCommand, LedgerArgs, ResetArgs};
use crate::observe::timestamp::Rfc3339;

/// # Errors
///
/// A ledger that cannot be read, or that a proxy has.
pub(crate) fn run(command: &BudgetCommand) -> anyhow::Result<ExitCode> {
    match command {
        BudgetCommand::Show(args) => show(args)?,
        BudgetCommand::Reset(args) => forget(args)?,
    }
    Ok(ExitCode::SUCCESS)
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
    let of = || args.ledger.display().to_string();
    let file = open(&args.ledger)?;
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

//! `audit verify`: what it reads and what it prints.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use codex_audit_log::{FileSummary, Finding, LineHash, Totals, Verification};

use crate::config::command::VerifyArgs;

/// How many faults are printed.
const MOST_PRINTED: u64 = 100;

/// Prints what is wrong with an audit log, and what it comes to, on standard output.
///
/// # Errors
///
/// A file that cannot be read; a chain that is broken, or does not have the expected line.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let mut output = io::stdout();
    let mut printed = 0;
    let mut verification = Verification::new(args.expect, |finding: &Finding| {
        printed += 1;
        if printed > MOST_PRINTED {
            return Ok(());
        }
        writeln!(io::stdout(), "{finding}")
    });
    let mut first = None;
    for path in &args.files {
        let name = path.display().to_string();
        let read = match open(path) {
            Ok(input) => verification.read(&name, input),
            Err(error) => Err(error),
        };
        let summary = read.with_context(|| format!("cannot read {name}"))?;
        writeln!(output, "{name}: {}", described(summary))?;
        if summary.lines > 0 {
            first = first.or(Some(summary.continues));
        }
    }
    let totals = verification.end()?;
    if printed > MOST_PRINTED {
        writeln!(output, "and {} more", printed - MOST_PRINTED)?;
    }
    print_totals(&mut output, &totals)?;
    let Some(before) = first else {
        bail!("there are no lines: all of them were removed, or none was ever written");
    };
    if let Some(before) = before
        && before != args.after.unwrap_or(LineHash::NONE)
    {
        bail!(
            "the beginning is missing: the first line follows one with the hash {before}; name the files before \
             it too, or --after {before} if that is the hash that was kept of their last line"
        );
    }
    judge(&mut output, &totals, args.expect)
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        #[expect(clippy::disallowed_methods, reason = "no key comes this way")]
        let input = io::stdin();
        return Ok(Box::new(input.lock()));
    }
    Ok(Box::new(File::open(path)?))
}

fn lines(count: u64) -> String {
    match count {
        1 => "1 line".to_owned(),
        several => format!("{several} lines"),
    }
}

fn described(summary: FileSummary) -> String {
    let lines = lines(summary.lines);
    match summary.continues {
        Some(LineHash::NONE) => format!("{lines}, from the beginning of a chain"),
        Some(before) => format!("{lines}, continues from {before}"),
        None => lines,
    }
}

fn print_totals(output: &mut impl Write, totals: &Totals) -> io::Result<()> {
    let Totals {
        starts,
        dropped,
        refused,
        ..
    } = totals;
    writeln!(
        output,
        "{} in all; starts: {starts}; records dropped: {dropped}; requests refused meanwhile: {refused}",
        lines(totals.lines)
    )?;
    match totals.last {
        Some(last) => writeln!(output, "last line: {last}"),
        None => Ok(()),
    }
}

fn judge(
    output: &mut impl Write,
    totals: &Totals,
    expected: Option<LineHash>,
) -> anyhow::Result<ExitCode> {
    match totals.faults {
        0 => {}
        1 => bail!("the chain is broken in 1 place"),
        several => bail!("the chain is broken in {several} places"),
    }
    if expected.is_some() {
        let Some(at) = totals.expected_at else {
            bail!(
                "no line has the hash of --expect: lines were cut off at the end, the last one was changed, or all \
                 of them were made anew"
            );
        };
        match totals.lines.saturating_sub(at) {
            0 => writeln!(output, "it is the expected one")?,
            after => writeln!(
                output,
                "the expected line is there, with {} after it",
                lines(after)
            )?,
        }
    }
    writeln!(output, "each line follows from the one before")?;
    Ok(ExitCode::SUCCESS)
}

//! Pure: a status as text.

use std::fmt::Write as _;

use crate::amounts::{count, dollars, of_measure, plural, span};
use crate::printable::printable;
use crate::status::{Budget, Caller, SharedLedger, State, Status, Upstream};

/// The status, in lines.
pub(crate) fn report(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{:<14}{value}", format!("{name}:"));
    };
    line("state", state(status));
    line("listening on", joined(&status.listening));
    if let Some(metrics) = &status.metrics {
        line("metrics", printable(metrics));
    }
    line("upstream", upstream(&status.upstream));
    if let Some(fault) = &status.upstream.last_fault {
        let said = format!(
            "{} ago: {} {}: {}",
            span(fault.seconds_ago),
            fault.outcome,
            fault.code,
            fault.cause
        );
        line("last fault", printable(&said));
    }
    line("credential", credential(status));
    if let Some(ledger) = &status.ledger {
        line("ledger", shared_ledger(ledger));
    }
    line("requests", requests(status));
    line("tokens", tokens(status));
    line("cost", cost(status));
    line("connections", connections(status));
    line("log lines", dropped(status));
    section(&mut text, "protections", &status.protections);
    let of_ledger = status.ledger.iter().flat_map(|ledger| &ledger.warnings);
    let of_ledger = of_ledger.map(|warning| format!("--ledger: {warning}"));
    let warnings: Vec<String> = status.warnings.iter().cloned().chain(of_ledger).collect();
    section(&mut text, "warnings", &warnings);
    if !status.callers.is_empty() {
        text.push('\n');
        let rows = status.callers.iter().map(caller).collect();
        table(&mut text, &CALLERS, rows);
    }
    if let Some(budgets) = &status.budgets {
        text.push('\n');
        if budgets.is_empty() {
            text.push_str("the policy has no limits\n");
        } else {
            table(&mut text, &BUDGETS, budgets.iter().map(budget).collect());
        }
    }
    text
}

fn state(status: &Status) -> String {
    let state = match status.state {
        State::Serving => "serving",
        State::Draining => "draining: it ends, and what is in flight may finish",
        State::Unknown => "unknown",
    };
    format!(
        "{state} (process {}, version {}, for {})",
        status.pid,
        printable(&status.version),
        span(status.uptime_seconds)
    )
}

fn joined(places: &[String]) -> String {
    printable(&places.join(", "))
}

fn upstream(upstream: &Upstream) -> String {
    let way = if upstream.tls {
        "by TLS"
    } else {
        "in cleartext, within this host"
    };
    format!(
        "{} {way}, {}",
        printable(&upstream.name),
        plural(upstream.connections, "connection")
    )
}

fn shared_ledger(ledger: &SharedLedger) -> String {
    let state = match (&ledger.error, ledger.up) {
        (Some(error), false) => format!("away: {error}"),
        (None, false) => "away".to_owned(),
        (_, true) => "up".to_owned(),
    };
    let said = format!(
        "{} {state}, last answer {} ago, {} failed",
        ledger.address,
        span(ledger.since_answer_seconds),
        ledger.errors
    );
    printable(&said)
}

fn credential(status: &Status) -> String {
    let credential = &status.credential;
    let mut said = printable(&credential.kind);
    let _ = write!(said, ", generation {}", credential.generation);
    if !credential.available {
        said.push_str(", none in force");
    }
    if let Some(age) = credential.age_seconds {
        let _ = write!(said, ", in force for {}", span(age));
    }
    if let Some(left) = credential.expires_in_seconds {
        let _ = write!(said, ", expires in {}", span(left));
    }
    if credential.failures > 0 {
        let failures = plural(credential.failures, "failure");
        let _ = write!(said, ", {failures} to get another");
    }
    said
}

fn requests(status: &Status) -> String {
    let requests = &status.requests;
    let outcomes: Vec<String> = requests
        .outcomes
        .iter()
        .map(|one| match &one.code {
            Some(code) => format!("{} {} {code}", one.count, one.outcome),
            None => format!("{} {}", one.count, one.outcome),
        })
        .collect();
    let outcomes = match outcomes.is_empty() {
        true => String::new(),
        false => format!(" ({})", printable(&outcomes.join(", "))),
    };
    format!(
        "{} finished{outcomes}, {} in flight (at most {})",
        requests.finished, requests.in_flight, requests.most_in_flight
    )
}

fn tokens(status: &Status) -> String {
    let tokens = &status.tokens;
    format!(
        "{} of input ({} cached), {} of output ({} reasoning)",
        count(tokens.input),
        count(tokens.cached),
        count(tokens.output),
        count(tokens.reasoning)
    )
}

fn cost(status: &Status) -> String {
    let about = if status.cost_is_estimated { "~" } else { "" };
    match status.cost_usd {
        Some(usd) => format!("{about}{}", dollars(usd)),
        None => "-".to_owned(),
    }
}

fn connections(status: &Status) -> String {
    let connections = &status.connections;
    let evicted = match connections.evicted {
        0 => String::new(),
        some => format!(", {some} closed for others"),
    };
    format!("{} of {}{evicted}", connections.open, connections.slots)
}

fn dropped(status: &Status) -> String {
    let dropped = &status.dropped;
    let parts = [
        (dropped.records, "records"),
        (dropped.access_log, "of the access log"),
        (dropped.stderr, "of standard error"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, of)| format!("{count} {of}"))
        .collect();
    match parts.is_empty() {
        true => "none dropped".to_owned(),
        false => format!("dropped: {}", parts.join(", ")),
    }
}

fn section(text: &mut String, name: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{name}:");
    for line in lines {
        let _ = writeln!(text, "  {}", printable(line));
    }
}

const CALLERS: [&str; 9] = [
    "CALLER",
    "CONNECTIONS",
    "IN FLIGHT",
    "TOK/S",
    "REQUESTS",
    "REFUSED",
    "INPUT",
    "OUTPUT",
    "COST",
];

fn caller(caller: &Caller) -> Vec<String> {
    vec![
        printable(&caller.name),
        caller.connections.to_string(),
        caller.in_flight.to_string(),
        format!("{:.0}", caller.tokens_per_second),
        caller.requests.to_string(),
        caller.refused.to_string(),
        count(caller.tokens.input),
        count(caller.tokens.output),
        caller.cost_usd.map_or_else(|| "-".to_owned(), dollars),
    ]
}

const BUDGETS: [&str; 6] = [
    "ACCOUNT",
    "LIMIT",
    "SPENT",
    "RESERVED",
    "REMAINING",
    "RESETS IN",
];

fn budget(budget: &Budget) -> Vec<String> {
    let of = |value| of_measure(&budget.measure, value);
    let unit = match budget.measure.as_str() {
        "usd" => String::new(),
        other => format!(" {}", printable(other)),
    };
    let resets = budget.resets_in_seconds;
    vec![
        printable(&budget.account),
        format!("{}{unit}/{}", of(budget.limit), printable(&budget.per)),
        of(budget.spent),
        of(budget.reserved),
        of(budget.remaining),
        resets.map_or_else(|| "-".to_owned(), span),
    ]
}

/// The widest cell of a table, in columns, and the most rows that are shown: whoever answers need not be a proxy.
const WIDEST: usize = 64;
const MOST_ROWS: usize = 1_000;

/// The cell, cut where it is too wide.
fn cut(cell: String) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

    // A character may be two columns wide, and so many bytes have at most as many columns.
    if cell.len() <= WIDEST || cell.width() <= WIDEST {
        return cell;
    }
    let mut width = 1;
    let fits = |character: &char| {
        width += character.width().unwrap_or(0);
        width <= WIDEST
    };
    let kept: String = cell.chars().take_while(fits).collect();
    kept + "…"
}

/// Columns as wide as their longest cell: the first to the left, numbers to the right.
fn table(text: &mut String, heads: &[&str], mut rows: Vec<Vec<String>>) {
    use unicode_width::UnicodeWidthStr;

    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let rows = rows
        .into_iter()
        .map(|row| row.into_iter().map(cut).collect());
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        })
        .collect();
    for line in &lines {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let room = " ".repeat(width.saturating_sub(cell.width()));
            match column {
                0 => {
                    let _ = write!(shown, "{cell}{room}");
                }
                _ => {
                    let _ = write!(shown, "  {room}{cell}");
                }
            }
        }
        let _ = writeln!(text, "{}", shown.trim_end());
    }
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
}

#[cfg(test)]
mod tests;

//! Limits, as people write them.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use codex_ledger::{Limit, Measure, Window};
use toml::de::DeValue;

use crate::denied::quoted;
use crate::document::count;

/// The most that a limit can be, in the unit of [`Measure::of`]: that of a number in TOML, rounded.
const MOST: u64 = 9_000_000_000_000_000_000;

const NANO_PER_USD: f64 = 1e9;

const DAY: u64 = 24 * 60 * 60;

/// The longest rolling window, in seconds.
const LONGEST: u64 = 400 * DAY;

/// Why a text is not a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError {
    text: String,
    what: &'static str,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.what)
    }
}

impl std::error::Error for LimitError {}

/// Reads a limit as it is written on the command line: `usd=20/day`, `requests=60/minute` or
/// `tokens=5_000_000/24h`. Numbers and windows are written as in a policy file.
///
/// # Errors
///
/// [`LimitError`] if the text is anything else.
pub fn parse_limit(text: &str) -> Result<Limit, LimitError> {
    let fault = |what| LimitError {
        text: quoted(text),
        what,
    };
    let (name, rest) = text
        .split_once('=')
        .ok_or_else(|| fault("has to be MEASURE=NUMBER/WINDOW, as in usd=20/day"))?;
    let measure =
        measure(name).ok_or_else(|| fault("has to start with usd=, tokens= or requests="))?;
    let (number, per) = rest
        .split_once('/')
        .ok_or_else(|| fault("has no window, such as /day at its end"))?;
    // TOML would skip blanks and comments.
    let is_of_number = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '+' | '-');
    let value = Some(number)
        .filter(|number| number.chars().all(is_of_number))
        .and_then(|number| DeValue::parse(number).ok())
        .ok_or_else(|| fault(number_of(measure)))?;
    let most = most(measure, value.get_ref()).map_err(fault)?;
    let window = window(per).ok_or_else(|| fault(WINDOWS))?;
    Ok(Limit {
        measure,
        most,
        window,
    })
}

/// What is counted, by the name that it has in a policy.
pub(crate) fn measure(name: &str) -> Option<Measure> {
    match name {
        "requests" => Some(Measure::Requests),
        "tokens" => Some(Measure::Tokens),
        "usd" => Some(Measure::Usd),
        _ => None,
    }
}

/// The most of what is counted, in the unit of [`Measure::of`]; otherwise what it has to be.
pub(crate) fn most(measure: Measure, value: &DeValue<'_>) -> Result<u64, &'static str> {
    let most = match measure {
        Measure::Requests | Measure::Tokens => count(value, MOST),
        Measure::Usd => nano_usd(value),
    };
    most.ok_or(number_of(measure))
}

fn number_of(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests | Measure::Tokens => {
            "has to be an integer from 1 to 9000000000000000000, as in 60 or 5_000_000"
        }
        Measure::Usd => {
            "has to be a number of US dollars from 0.000000001 to 9000000000, as in 20 or 2.50"
        }
    }
}

fn nano_usd(value: &DeValue<'_>) -> Option<u64> {
    let number = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    let usd: f64 = number.parse().ok()?;
    let nano = (usd * NANO_PER_USD).round();
    // Not so for NaN either. The cast is exact: `nano` is whole and in the range of the type.
    if !(nano >= 1.0 && nano <= MOST as f64) {
        return None;
    }
    Some(nano as u64)
}

/// What [`window`] takes.
pub(crate) const WINDOWS: &str = "the window has to be minute, hour, day, month, process, or a time from 1s to \
                                  400d, such as 90m or 24h";

/// The window that is written so.
pub(crate) fn window(per: &str) -> Option<Window> {
    match per {
        "minute" => return Some(Window::Minute),
        "hour" => return Some(Window::Hour),
        "day" => return Some(Window::Day),
        "month" => return Some(Window::Month),
        "process" => return Some(Window::Process),
        _ => {}
    }
    let (number, unit) = per.split_at_checked(per.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        _ => return None,
    };
    // `parse` would take a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=LONGEST)
        .contains(&seconds)
        .then(|| Window::Rolling(Duration::from_secs(seconds)))
}

//! How windows and holds are written in the file.

use std::time::Duration;

use crate::amounts::Amounts;
use crate::limit::Window;
use crate::tally::{BUCKETS, Spending, Tally};

/// The end of a key: the kind of window, and for a rolling one its seconds and nanoseconds.
pub(super) type WindowCode = (u8, u64, u32);

/// The start or the newest step; requests, tokens, billionths of a dollar; and the steps that are not empty.
pub(super) type WindowValue<'a> = (u64, u64, u64, u64, &'a [u8]);

/// `None` of what is not stored.
pub(super) fn window_code(window: Window) -> Option<WindowCode> {
    match window {
        Window::Minute => Some((1, 0, 0)),
        Window::Hour => Some((2, 0, 0)),
        Window::Day => Some((3, 0, 0)),
        Window::Month => Some((4, 0, 0)),
        Window::Rolling(length) => Some((5, length.as_secs(), length.subsec_nanos())),
        Window::Process => None,
    }
}

fn window_of((kind, seconds, nanos): WindowCode) -> Option<Window> {
    match kind {
        1 => Some(Window::Minute),
        2 => Some(Window::Hour),
        3 => Some(Window::Day),
        4 => Some(Window::Month),
        5 if nanos < 1_000_000_000 => Some(Window::Rolling(Duration::new(seconds, nanos))),
        _ => None,
    }
}

/// What [`tally_of`] reads: the start, the amounts and the steps.
pub(super) fn window_value(tally: &Tally) -> (u64, Amounts, Vec<u8>) {
    match tally.spending() {
        Spending::Since { start, amounts } => (*start, *amounts, Vec::new()),
        Spending::Steps { newest, buckets } => {
            let mut steps = Vec::new();
            for (place, bucket) in (0_u8..).zip(buckets) {
                if *bucket != Amounts::default() {
                    steps.push(place);
                    write_amounts(&mut steps, *bucket);
                }
            }
            (*newest, tally.amounts(), steps)
        }
    }
}

/// `None` if nothing writes such a row.
pub(super) fn tally_of(
    code: WindowCode,
    (start, requests, tokens, nano_usd, steps): WindowValue<'_>,
) -> Option<Tally> {
    let window = window_of(code)?;
    let Window::Rolling(_) = window else {
        let amounts = Amounts {
            requests,
            tokens,
            nano_usd,
        };
        return Tally::stored(window, Spending::Since { start, amounts });
    };
    let mut buckets = vec![Amounts::default(); BUCKETS];
    let mut rest = steps;
    while let Some((place, after)) = rest.split_first() {
        let (amounts, after) = read_amounts(after)?;
        *buckets.get_mut(usize::from(*place))? = amounts;
        rest = after;
    }
    Tally::stored(
        window,
        Spending::Steps {
            newest: start,
            buckets: buckets.into(),
        },
    )
}

/// The accounts of a hold, each with what it holds.
pub(super) fn hold_value(accounts: &[(String, Amounts)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, amounts) in accounts {
        write_amounts(&mut bytes, *amounts);
        bytes.extend(u64::try_from(name.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(name.as_bytes());
    }
    bytes
}

/// `None` if nothing writes such a row.
pub(super) fn hold_of(bytes: &[u8]) -> Option<Vec<(String, Amounts)>> {
    let mut accounts = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (amounts, after) = read_amounts(rest)?;
        let (length, after) = read_number(after)?;
        let (name, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        accounts.push((std::str::from_utf8(name).ok()?.to_owned(), amounts));
        rest = after;
    }
    Some(accounts)
}

fn write_amounts(bytes: &mut Vec<u8>, amounts: Amounts) {
    for number in [amounts.requests, amounts.tokens, amounts.nano_usd] {
        bytes.extend(number.to_le_bytes());
    }
}

fn read_amounts(bytes: &[u8]) -> Option<(Amounts, &[u8])> {
    let (requests, rest) = read_number(bytes)?;
    let (tokens, rest) = read_number(rest)?;
    let (nano_usd, rest) = read_number(rest)?;
    Some((
        Amounts {
            requests,
            tokens,
            nano_usd,
        },
        rest,
    ))
}

fn read_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

//! Names of keys in the server. What belongs to one limit is in one slot of a cluster: its name is the hash tag.

use std::fmt::Write;
use std::time::Duration;

use codex_ledger::{Limit, Measure, Window};

/// Of what is kept under these names: another version of this program that keeps something else has other names.
const VERSION: u32 = 1;

/// The keys of one limit: what is spent and leased, the hosts, and until when they are believed alive.
pub(crate) const PARTS: [&str; 3] = ["totals", "hosts", "alive"];

/// The names of a limit's keys; `None` if hosts cannot share it.
pub(crate) fn of(prefix: &str, account: &str, limit: &Limit) -> Option<[String; 3]> {
    let window = window_name(limit.window)?;
    let measure = measure_name(limit.measure);
    let tag = format!("{}|{measure}|{window}", escaped(account));
    Some(of_tag(prefix, &tag))
}

fn of_tag(prefix: &str, tag: &str) -> [String; 3] {
    PARTS.map(|part| format!("{prefix}:{VERSION}:{{{tag}}}:{part}"))
}

/// What to look for to find the totals of every limit.
pub(crate) fn pattern(prefix: &str) -> String {
    // What a prefix may be made of means nothing in a pattern.
    format!("{prefix}:{VERSION}:{{*}}:{}", PARTS[0])
}

/// Which limit a key with totals is of: its account, what is counted, the window, and all of its keys.
pub(crate) fn parse(prefix: &str, key: &str) -> Option<(String, Measure, Window, [String; 3])> {
    let rest = key.strip_prefix(&format!("{prefix}:{VERSION}:{{"))?;
    let tag = rest.strip_suffix(&format!("}}:{}", PARTS[0]))?;
    let mut parts = tag.split('|');
    let (account, measure, window) = (parts.next()?, parts.next()?, parts.next()?);
    let measure = [Measure::Requests, Measure::Tokens, Measure::Usd]
        .into_iter()
        .find(|known| measure_name(*known) == measure)?;
    Some((
        unescaped(account)?,
        measure,
        window_of(window)?,
        of_tag(prefix, tag),
    ))
}

fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "requests",
        Measure::Tokens => "tokens",
        Measure::Usd => "nanousd",
    }
}

/// As the scripts read it: its length in seconds, `month`, or `rolling:` and the microseconds of a sixtieth of it.
pub(crate) fn window_name(window: Window) -> Option<String> {
    Some(match window {
        Window::Minute => "60".to_owned(),
        Window::Hour => "3600".to_owned(),
        Window::Day => "86400".to_owned(),
        Window::Month => "month".to_owned(),
        Window::Rolling(length) => format!("rolling:{}", (length.as_micros() / 60).max(1)),
        Window::Process => return None,
    })
}

fn window_of(name: &str) -> Option<Window> {
    Some(match name {
        "60" => Window::Minute,
        "3600" => Window::Hour,
        "86400" => Window::Day,
        "month" => Window::Month,
        _ => {
            let step: u64 = name.strip_prefix("rolling:")?.parse().ok()?;
            Window::Rolling(Duration::from_micros(step.checked_mul(60)?))
        }
    })
}

/// How long a window lasts, at most.
pub(crate) fn length(window: Window) -> Duration {
    const DAY: u64 = 86_400;
    match window {
        Window::Minute => Duration::from_secs(60),
        Window::Hour => Duration::from_secs(3600),
        Window::Day => Duration::from_secs(DAY),
        Window::Month => Duration::from_secs(31 * DAY),
        Window::Rolling(length) => length,
        Window::Process => Duration::ZERO,
    }
}

/// Whatever could mean something in a key or a pattern is written as `%` and two digits.
fn escaped(account: &str) -> String {
    let mut text = String::new();
    for byte in account.bytes() {
        if byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_which_limit_it_is_of_and_has_one_hash_tag() {
        for account in ["user:1001", "token:a}b|c%{é", "everyone/user:7"] {
            for window in [
                Window::Minute,
                Window::Month,
                Window::Rolling(Duration::from_secs(5_400)),
            ] {
                let limit = Limit {
                    measure: Measure::Usd,
                    most: 1,
                    window,
                };
                let keys = of("p", account, &limit).unwrap();
                let found = parse("p", &keys[0]).unwrap();
                let expected = (account.to_owned(), Measure::Usd, window, keys.clone());
                assert_eq!(found, expected);
                for key in &keys {
                    assert_eq!((key.matches('{').count(), key.matches('}').count()), (1, 1));
                }
            }
        }
        assert_eq!(parse("p", "p:2:{a|usd|60}:totals"), None);
    }
}

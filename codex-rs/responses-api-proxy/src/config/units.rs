//! Times and sizes as people type them.

use std::time::Duration;

/// Reads `90` (seconds), `250ms`, `90s`, `10m`, `2h`.
///
/// # Errors
///
/// Says what a time looks like. Zero is refused: no limit here means "never".
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let millis_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is a number with ms, s, m or h, such as 90s".to_owned()),
    };
    product(number, millis_per_unit)
        .map(Duration::from_millis)
        .ok_or_else(|| "a time is a whole number above 0, such as 90s".to_owned())
}

/// Reads `1048576` (bytes), `64KiB`, `64MiB`, `1GiB`; `K`, `M` and `G` mean the same.
///
/// # Errors
///
/// Says what a size looks like. Zero is refused.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let bytes_per_unit = match unit {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return Err("a size is a number with KiB, MiB or GiB, such as 64MiB".to_owned()),
    };
    product(number, bytes_per_unit)
        .ok_or_else(|| "a size is a whole number above 0, such as 64MiB".to_owned())
}

/// Reads a number of things; zero is refused.
///
/// # Errors
///
/// Says what a number looks like.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| "a number is a whole number above 0, such as 100".to_owned())
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

fn product(number: &str, unit: u64) -> Option<u64> {
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|&value| value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, millis) in [
            ("1", 1_000),
            ("250ms", 250),
            ("90s", 90_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("7B", 7),
            ("64KiB", 65_536),
            ("64M", 67_108_864),
            ("1GiB", 1_073_741_824),
        ] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
    }

    #[test]
    fn what_is_neither_is_refused_in_words() {
        for text in [
            "",
            "0",
            "-1",
            "1.5",
            "1 s",
            "s",
            "18446744073709551615h",
            "1d",
            "MiB",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}

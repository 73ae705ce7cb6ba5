//! Pure: numbers as a person reads them.

/// `812`, `10.1k`, `3.4M`.
#[must_use]
pub fn count(number: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let exact = number as f64;
    match number {
        ..1_000 => number.to_string(),
        1_000..999_950 => format!("{:.1}k", exact / 1e3),
        _ => format!("{:.1}M", exact / 1e6),
    }
}

/// `$0.021`, `$1.24`: parts of a cent where there is no whole one.
#[must_use]
pub fn dollars(usd: f64) -> String {
    if usd >= 1.0 {
        format!("${usd:.2}")
    } else if usd >= 0.001 || usd <= 0.0 {
        format!("${usd:.3}")
    } else {
        format!("${usd:.6}")
    }
}

/// An amount of `usd`, `tokens` or `requests`.
pub(crate) fn of_measure(measure: &str, value: f64) -> String {
    if measure == "usd" {
        dollars(value)
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that was made a number with a fraction; a cast saturates"
        )]
        let whole = value as u64;
        count(whole)
    }
}

/// `0.4s`, `12s`, `3m 05s`, `2h 13m`, `4d 02h`.
pub(crate) fn span(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates"
    )]
    let whole = seconds as u64;
    match whole {
        ..10 => format!("{:.1}s", seconds.max(0.0)),
        10..60 => format!("{whole}s"),
        60..3_600 => format!("{}m {:02}s", whole / 60, whole % 60),
        3_600..86_400 => format!("{}h {:02}m", whole / 3_600, whole / 60 % 60),
        _ => format!("{}d {:02}h", whole / 86_400, whole / 3_600 % 24),
    }
}

/// `1 request`, `3 requests`.
pub(crate) fn plural(count: u64, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_in_which_they_are_short() {
        let counts = [0, 999, 1_000, 10_140, 999_949, 999_950, 3_400_000].map(count);
        assert_eq!(
            counts,
            ["0", "999", "1.0k", "10.1k", "999.9k", "1.0M", "3.4M"]
        );
        let amounts = [0.0, 0.000_042, 0.021, 1.239, 20.0].map(dollars);
        assert_eq!(
            amounts,
            ["$0.000", "$0.000042", "$0.021", "$1.24", "$20.00"]
        );
        let spans = [0.44, 9.96, 12.0, 185.0, 7_980.0, 352_800.0, -1.0].map(span);
        assert_eq!(
            spans,
            ["0.4s", "10.0s", "12s", "3m 05s", "2h 13m", "4d 02h", "0.0s"]
        );
        assert_eq!(plural(1, "stream"), "1 stream");
        assert_eq!(plural(0, "stream"), "0 streams");
        assert_eq!(of_measure("usd", 2.5), "$2.50");
        assert_eq!(of_measure("tokens", 5_000_000.0), "5.0M");
    }
}

//! How long to wait before another attempt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Before the second attempt; each further wait is twice as long.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of our own choosing.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest wait at a server's request: who asks for more is not asked again.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// The wait before attempt `n + 1`, counted from 1, when the server asked for `asked`.
#[must_use]
pub(crate) fn wait(n: u32, asked: Option<Duration>) -> Duration {
    asked.unwrap_or_else(|| backoff(n, random()))
}

/// Exponential, with a tenth of jitter either way so that many callers do not come back at once.
fn backoff(n: u32, random: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(n.saturating_sub(1));
    let wait = FIRST.saturating_mul(doubled).min(LONGEST);
    wait.mul_f64(0.9 + 0.2 * random)
}

/// Between 0 and 1. std seeds a hasher from the system's entropy; a wait needs no better.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    u32::try_from(bits).map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
#[must_use]
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|c| c.is_ascii_digit()) {
        // More digits than fit are more than anybody waits.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed means not to wait.
    Some(
        date.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_as_long_up_to_a_limit() {
        let waits: Vec<u128> = (1..=8).map(|n| backoff(n, 0.5).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff(1, 0.0).as_millis(), 180);
        assert_eq!(backoff(1, 1.0).as_millis(), 220);
        assert_eq!(backoff(u32::MAX, 0.5), LONGEST);
    }

    #[test]
    fn what_is_random_lies_between_0_and_1() {
        assert!((0..1000).all(|_| (0.0..=1.0).contains(&random())));
    }

    #[test]
    fn a_server_may_ask_for_a_wait() {
        assert_eq!(retry_after("0"), Some(Duration::ZERO));
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("99999999999999999999"), Some(Duration::MAX));
        assert_eq!(wait(1, Some(Duration::ZERO)), Duration::ZERO);
    }
}

//! Whether there is another attempt, and how long to wait before it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use http::HeaderMap;

use crate::transport::error::{Fault, Retry};

/// Before the second attempt; each further wait is twice as long.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of our own choosing.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest wait at a server's request: who asks for more is not asked again.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// The wait before attempt `n + 1`, counted from 1, when the server asked for `asked`.
fn wait(n: u32, asked: Option<Duration>) -> Duration {
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

/// Counts attempts, each kind by itself.
#[derive(Debug)]
pub(crate) struct Attempts {
    request: Count,
    stream: Count,
}

#[derive(Debug)]
struct Count {
    made: u32,
    most: u32,
}

/// Another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) kind: Retry,
    /// Counted from 1.
    pub(crate) n: u32,
    pub(crate) most: u32,
    pub(crate) wait: Duration,
}

impl Attempts {
    pub(crate) fn new(request_retries: u32, stream_retries: u32) -> Self {
        let count = |most| Count { made: 0, most };
        Self {
            request: count(request_retries),
            stream: count(stream_retries),
        }
    }

    /// The attempt after a fault, unless it is of no use, there were enough, or the server asks for more
    /// time than anybody waits here.
    pub(crate) fn next(&mut self, fault: &Fault) -> Option<Attempt> {
        let kind = fault.retry()?;
        let count = match kind {
            Retry::Request => &mut self.request,
            Retry::Stream => &mut self.stream,
        };
        let asked = fault.asked_wait();
        // Asked again before the time it named, a server only says the same again.
        if count.made >= count.most || asked > Some(LONGEST_ASKED) {
            return None;
        }
        count.made += 1;
        Some(Attempt {
            kind,
            n: count.made,
            most: count.most,
            wait: wait(count.made, asked),
        })
    }
}

/// What the head of an answer asks for: `retry-after-ms`, which is finer, or `Retry-After`.
#[must_use]
pub(crate) fn asked_in(fields: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| fields.get(name)?.to_str().ok();
    let fine = text("retry-after-ms").and_then(|ms| seconds_of(ms, 0.001));
    fine.or_else(|| retry_after(text("retry-after")?))
}

/// `x-should-retry`, by which OpenAI's servers say whether another attempt is of use.
#[must_use]
pub(crate) fn should_retry(fields: &HeaderMap) -> Option<bool> {
    match fields.get("x-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The time in "Please try again in 1.3s", also as `20 seconds`, `350ms` or `6m0s`.
#[must_use]
pub(crate) fn try_again_in(message: &str) -> Option<Duration> {
    const BEFORE: &str = "try again in ";
    let lower = message.to_ascii_lowercase();
    let (_, mut rest) = lower.split_once(BEFORE)?;
    let mut sum: Option<Duration> = None;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let after = after.trim_start();
        let word = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(word.unwrap_or(after.len()));
        let scale = match unit {
            "ms" | "milliseconds" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            _ => return sum,
        };
        let Some(part) = seconds_of(number.trim_end_matches('.'), scale) else {
            return sum;
        };
        sum = Some(sum.unwrap_or_default().saturating_add(part));
        rest = after;
    }
}

/// A number of units of so many seconds each.
fn seconds_of(number: &str, scale: f64) -> Option<Duration> {
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * scale).ok()
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
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
    fn a_server_may_say_when_in_its_message() {
        let ms = Duration::from_millis;
        for (message, wait) in [
            (
                "Rate limit reached. Please try again in 1.3s. Visit",
                Some(ms(1300)),
            ),
            ("Try again in 350ms", Some(ms(350))),
            ("please try again in 20 seconds.", Some(ms(20_000))),
            ("try again in 6m0s", Some(ms(360_000))),
            ("try again in 1h2m3.5s", Some(ms(3_723_500))),
            ("try again in 1e400s", None),
            ("try again in a while", None),
            ("try again in 7", None),
            ("try again later", None),
        ] {
            assert_eq!(try_again_in(message), wait, "{message}");
        }
    }

    #[test]
    fn each_kind_of_attempt_is_counted_by_itself() {
        let mut attempts = Attempts::new(1, 2);
        let cut = || Fault::Cut(String::new());
        let send = Fault::Send {
            to: String::new(),
            cause: String::new(),
            hint: None,
            is_passing: true,
        };
        let mut next = |fault: &Fault| {
            let next = attempts.next(fault)?;
            Some((next.kind, next.n, next.most))
        };
        assert_eq!(next(&cut()), Some((Retry::Stream, 1, 2)));
        assert_eq!(next(&send), Some((Retry::Request, 1, 1)));
        assert_eq!(next(&send), None);
        assert_eq!(next(&cut()), Some((Retry::Stream, 2, 2)));
        assert_eq!(next(&cut()), None);
    }

    #[test]
    fn the_finer_header_counts() {
        let fields = |pairs: &[(&'static str, &'static str)]| {
            let mut fields = HeaderMap::new();
            for (name, value) in pairs {
                fields.insert(*name, value.parse().unwrap());
            }
            fields
        };
        let both = fields(&[("retry-after", "2"), ("retry-after-ms", "1250.5")]);
        assert_eq!(asked_in(&both), Some(Duration::from_micros(1_250_500)));
        let broken = fields(&[("retry-after", "2"), ("retry-after-ms", "-1")]);
        assert_eq!(asked_in(&broken), Some(Duration::from_secs(2)));
        assert_eq!(asked_in(&fields(&[])), None);
        assert_eq!(
            should_retry(&fields(&[("x-should-retry", "false")])),
            Some(false)
        );
        assert_eq!(
            should_retry(&fields(&[("x-should-retry", "perhaps")])),
            None
        );
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

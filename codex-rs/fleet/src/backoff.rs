//! How long to wait before a server that is away is tried again: longer each time, and not all hosts at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// A number that nobody can foresee, by the keys that the standard library makes for its maps.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// Waits that grow.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next one: between half of it and all of it.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let share = 0.5 + (random % 1024) as f64 / 2048.0;
        whole.mul_f64(share)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_are_spread() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(1023).as_millis()).collect();
        assert_eq!(waits[0], 99);
        assert!(
            waits.is_sorted() && waits[7] <= 5_000 && waits[7] > 4_900,
            "{waits:?}"
        );
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::from_millis(50));
    }
}

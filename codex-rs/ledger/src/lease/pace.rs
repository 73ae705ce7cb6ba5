//! How much requests take, of late.

use crate::clock::Now;

/// What was held for new requests in this second and in the one before.
#[derive(Debug, Default)]
pub(super) struct Pace {
    second: u64,
    current: u64,
    before: u64,
}

impl Pace {
    pub(super) fn roll(&mut self, now: Now) {
        let second = now.steady.as_secs();
        if second != self.second {
            self.before = if second == self.second.saturating_add(1) {
                self.current
            } else {
                0
            };
            self.current = 0;
            self.second = second;
        }
    }

    pub(super) fn add(&mut self, amount: u64) {
        self.current = self.current.saturating_add(amount);
    }

    /// What requests of two seconds hold, if they are as those of the last.
    pub(super) fn of_two_seconds(&self) -> u64 {
        self.current.max(self.before).saturating_mul(2)
    }
}

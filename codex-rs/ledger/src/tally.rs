//! What was spent in one window.

use std::collections::VecDeque;
use std::time::Duration;

use crate::amounts::Amounts;
use crate::calendar::{surely_in_window, window_at};
use crate::clock::Now;
use crate::limit::Window;

/// How many steps a rolling window is divided into.
const STEPS: u32 = 60;

/// One more than there are steps: the current one has only begun, and the oldest is kept until all of it is old.
pub(crate) const BUCKETS: usize = STEPS as usize + 1;

/// What was spent in a window. What is spent always belongs to the newest window that was ever seen: a wall clock
/// that jumps back does not bring an older one, with what was left of it, back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    window: Window,
    spent: Spending,
    /// Nothing was charged yet, in any window.
    is_unused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spending {
    /// In a window that begins at `start`, in seconds of Unix time; of [`Window::Process`], 0.
    Since { start: u64, amounts: Amounts },
    /// In each step of a rolling window, the oldest first; `newest` is the number of the last, counted from the epoch.
    Steps {
        newest: u64,
        buckets: VecDeque<Amounts>,
    },
}

impl Tally {
    /// A window in which nothing is spent yet.
    pub(crate) fn new(window: Window, now: Now) -> Self {
        let spent = match window {
            Window::Rolling(length) => Spending::Steps {
                newest: step_at(length, now),
                buckets: VecDeque::from(vec![Amounts::default(); BUCKETS]),
            },
            _ => Spending::Since {
                start: window_at(window, now.wall_seconds()).map_or(0, |(start, _)| start),
                amounts: Amounts::default(),
            },
        };
        Self {
            window,
            spent,
            is_unused: true,
        }
    }

    /// As it was stored; `None` if such a window cannot have it.
    pub(crate) fn stored(window: Window, spent: Spending) -> Option<Self> {
        let fits = match (&spent, window) {
            (Spending::Steps { buckets, .. }, Window::Rolling(_)) => buckets.len() == BUCKETS,
            (Spending::Since { .. }, Window::Rolling(_)) | (Spending::Steps { .. }, _) => false,
            (Spending::Since { .. }, _) => true,
        };
        fits.then_some(Self {
            window,
            spent,
            is_unused: false,
        })
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn spending(&self) -> &Spending {
        &self.spent
    }

    /// Begins a new window if the one before is over.
    pub(crate) fn roll(&mut self, now: Now) {
        match (&mut self.spent, self.window) {
            (Spending::Steps { newest, buckets }, Window::Rolling(length)) => {
                let step = step_at(length, now);
                let passed = usize::try_from(step.saturating_sub(*newest))
                    .unwrap_or(BUCKETS)
                    .min(BUCKETS);
                buckets.drain(..passed.min(buckets.len()));
                buckets.resize(BUCKETS, Amounts::default());
                *newest = step.max(*newest);
            }
            // For nearly every request. Each looks at several windows several times.
            (Spending::Since { start, .. }, window)
                if surely_in_window(window, *start, now.wall_seconds()) => {}
            (Spending::Since { start, amounts }, window) => {
                // Back only while there is nothing to refund: a host may have begun by a clock of its own that is ahead
                // of the server's, which it goes by.
                if let Some((begun, _)) = window_at(window, now.wall_seconds())
                    && (begun > *start || self.is_unused)
                {
                    *start = begun;
                    *amounts = Amounts::default();
                }
            }
            (Spending::Steps { .. }, _) => {}
        }
    }

    /// Charges the window that is current after [`Tally::roll`].
    pub(crate) fn charge(&mut self, charge: Amounts) {
        self.is_unused = false;
        match &mut self.spent {
            Spending::Since { amounts, .. } => *amounts = amounts.saturating_add(charge),
            Spending::Steps { buckets, .. } => {
                if let Some(newest) = buckets.back_mut() {
                    *newest = newest.saturating_add(charge);
                }
            }
        }
    }

    /// What was spent in the window that is current after [`Tally::roll`].
    pub(crate) fn amounts(&self) -> Amounts {
        match &self.spent {
            Spending::Since { amounts, .. } => *amounts,
            Spending::Steps { buckets, .. } => {
                buckets.iter().fold(Amounts::default(), |sum, bucket| {
                    sum.saturating_add(*bucket)
                })
            }
        }
    }

    /// How long after `now` the window, or what was spent in it, is over; `None` if it never is. Of a rolling
    /// window, how long until `needed` of what `of` counts has left it.
    pub(crate) fn resets_in(
        &self,
        now: Now,
        needed: u64,
        of: impl Fn(&Amounts) -> u64,
    ) -> Option<Duration> {
        match (&self.spent, self.window) {
            (Spending::Steps { newest, buckets }, Window::Rolling(length)) => {
                let mut left = 0_u64;
                let mut last_used = *newest;
                let oldest = newest.saturating_sub(STEPS.into());
                for (number, bucket) in (oldest..).zip(buckets) {
                    let amount = of(bucket);
                    if amount > 0 {
                        last_used = number;
                        left = left.saturating_add(amount);
                        if left >= needed {
                            break;
                        }
                    }
                }
                let leaves = last_used.saturating_add(1).saturating_add(STEPS.into());
                Some(step_starts(length, leaves).saturating_sub(now.steady))
            }
            (Spending::Since { start, .. }, window) => {
                let (_, end) = window_at(window, *start)?;
                Some(Duration::from_secs(end).saturating_sub(now.wall))
            }
            (Spending::Steps { .. }, _) => None,
        }
    }

    /// The first moment that is counted, since the epoch.
    pub(crate) fn start(&self) -> Duration {
        match (&self.spent, self.window) {
            (Spending::Since { start, .. }, _) => Duration::from_secs(*start),
            (Spending::Steps { newest, .. }, Window::Rolling(length)) => {
                step_starts(length, newest.saturating_sub(STEPS.into()))
            }
            (Spending::Steps { .. }, _) => Duration::ZERO,
        }
    }
}

/// A sixtieth of a rolling window, in nanoseconds.
fn step(length: Duration) -> u128 {
    (length.as_nanos() / u128::from(STEPS)).max(1)
}

fn step_at(length: Duration, now: Now) -> u64 {
    u64::try_from(now.steady.as_nanos() / step(length)).unwrap_or(u64::MAX)
}

fn step_starts(length: Duration, number: u64) -> Duration {
    let nanos = u128::from(number).saturating_mul(step(length));
    u64::try_from(nanos / 1_000_000_000).map_or(Duration::MAX, |seconds| {
        // What remains of a division by a billion fits.
        Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests;

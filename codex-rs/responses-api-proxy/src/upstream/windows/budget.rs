//! What all connections together may be granted.

use std::sync::atomic::{AtomicUsize, Ordering};

/// In bytes.
const MOST_IN_ALL: usize = 32 * 1024 * 1024;

/// Less is not worth a frame, in bytes.
const LEAST: usize = 64 * 1024;

/// That of the process.
pub(super) static ALL: Budget = Budget::new();

/// How much is left of it, in bytes.
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(MOST_IN_ALL))
    }

    pub(super) fn nothing(&'static self) -> Grant {
        Grant {
            bytes: 0,
            budget: self,
        }
    }

    /// Whether nothing of it is granted.
    pub(super) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MOST_IN_ALL
    }

    /// Whether half of it is left, so that some can be granted by guess.
    pub(super) fn is_ample(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MOST_IN_ALL / 2
    }

    #[cfg(test)]
    pub(super) fn granted(&self) -> usize {
        MOST_IN_ALL - self.0.load(Ordering::Relaxed)
    }
}

/// A part of a budget, which goes back there when this is dropped.
pub(super) struct Grant {
    bytes: usize,
    budget: &'static Budget,
}

impl Grant {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes as much of `wanted` as there is, and never more than half of what is left: no few of them leave
    /// nothing to others. Returns how much that was.
    pub(super) fn grow(&mut self, wanted: usize) -> usize {
        let share = |left: usize| Some(wanted.min(left / 2)).filter(|&share| share >= LEAST);
        let relaxed = Ordering::Relaxed;
        let take = |left: usize| share(left).map(|share| left - share);
        let taken = self.budget.0.fetch_update(relaxed, relaxed, take);
        let taken = taken.ok().and_then(share).unwrap_or(0);
        self.bytes += taken;
        taken
    }

    /// Gives back what is more than this.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let back = self.bytes.saturating_sub(bytes);
        self.bytes -= back;
        self.budget.0.fetch_add(back, Ordering::Relaxed);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

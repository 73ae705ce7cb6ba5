//! One clock for all processes of this host.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC` (clock_gettime(2)): since boot, the same in every process, so
/// that a stamp set by the upstream can be compared with the time at which the load reads it.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let rest = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + rest
}

/// Milliseconds from one stamp to a later one; negative if it is earlier.
#[expect(
    clippy::cast_precision_loss,
    reason = "a difference of seconds at most"
)]
pub(crate) fn ms_between(earlier: u64, later: u64) -> f64 {
    (later as f64 - earlier as f64) / 1e6
}

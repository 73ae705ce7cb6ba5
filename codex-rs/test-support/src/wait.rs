//! Waiting for an event, with a timeout after which the test fails and says what did not happen.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest any blocking call of this crate waits: generous, because a slow machine must not
/// fail a test, and finite, because a hang must.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Locks, ignoring poison: a panic in one test thread is reported by that thread.
pub(crate) fn lock<S>(state: &Mutex<S>) -> MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `ready` returns a value; panics with `missing` once [`WAIT_TIMEOUT`] is over.
#[track_caller]
pub(crate) fn wait_until<S, T>(
    state: &Mutex<S>,
    changed: &Condvar,
    mut ready: impl FnMut(&mut S) -> Option<T>,
    missing: impl FnOnce(&S) -> String,
) -> T {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let mut guard = lock(state);
    loop {
        if let Some(value) = ready(&mut guard) {
            return value;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = missing(&guard);
            drop(guard);
            panic!("waited {} s: {message}", WAIT_TIMEOUT.as_secs());
        }
        (guard, _) = changed
            .wait_timeout(guard, left)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

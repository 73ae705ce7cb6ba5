//! A gate a scripted answer stops at until the test lets it pass, so that tests order events
//! instead of sleeping.

use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::Notify;

use crate::wait::{lock, wait_until};

/// A one-shot gate: closed when made, open for good after [`Gate::release`]. Clones are the same
/// gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    released: Notify,
}

#[derive(Debug, Default)]
struct State {
    reached: usize,
    released: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate for everyone who waits at it or will come to it.
    pub fn release(&self) {
        lock(&self.0.state).released = true;
        self.0.released.notify_waiters();
    }

    /// Blocks until some script has come to the gate.
    ///
    /// # Panics
    /// When none came in time.
    #[track_caller]
    pub fn wait_reached(&self) {
        self.wait_reached_by(1);
    }

    /// Blocks until scripts have come to the gate `n` times.
    ///
    /// # Panics
    /// When fewer came in time.
    #[track_caller]
    pub fn wait_reached_by(&self, n: usize) {
        wait_until(
            &self.0.state,
            &self.0.changed,
            |state| (state.reached >= n).then_some(()),
            |state| format!("the gate was reached {} times, wanted {n}", state.reached),
        );
    }

    /// Whether any script has come to the gate.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        lock(&self.0.state).reached > 0
    }

    /// Comes to the gate and waits until it is open.
    pub(crate) async fn pass(&self) {
        {
            lock(&self.0.state).reached += 1;
            self.0.changed.notify_all();
        }
        let mut released = std::pin::pin!(self.0.released.notified());
        // Listen first and look second, or a release in between would be missed.
        released.as_mut().enable();
        let open = lock(&self.0.state).released;
        if !open {
            released.await;
        }
    }
}

//! Deadlines that pass only after what has arrived was looked at.
//!
//! A process that was stopped (Ctrl-Z, a laptop's lid in some systems) goes on with its timers overdue,
//! and they fire before any socket is read: epoll_wait(2) ends with EINTR (signal(7)), which the runtime
//! takes for "nothing has arrived". So a deadline that is due waits once more, for as long as it came late.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long the second look takes at least, and at most.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// A point in time by which something should have happened.
#[derive(Debug)]
pub(crate) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    was_due: bool,
}

impl Deadline {
    /// So much later than now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(limit)),
            was_due: false,
        }
    }

    /// What `future` comes to; `None` if the deadline passes first.
    pub(crate) async fn before<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(outcome) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(outcome));
                }
                if self.sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                if std::mem::replace(&mut self.was_due, true) {
                    return Poll::Ready(None);
                }
                let now = Instant::now();
                let late = now.saturating_duration_since(self.sleep.deadline());
                let look = late.clamp(SHORTEST_LOOK, LONGEST_LOOK);
                self.sleep.as_mut().reset(now + look);
            }
        })
        .await
    }
}

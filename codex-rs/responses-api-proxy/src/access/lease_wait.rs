//! A request that waits for a lease: what this host may spend of a limit that others share is asked for in the
//! background, and mostly there before it is needed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use codex_deadline::Deadline;
use tokio::sync::watch;

/// How long a request waits at most.
const PATIENCE: Duration = Duration::from_secs(2);

type Changed = Pin<Box<dyn Future<Output = watch::Receiver<()>> + Send + Sync>>;

/// Waits for the store to answer.
pub(crate) struct LeaseWait {
    /// What changes from when this was made on; until it is waited for, which most requests do not.
    changes: Option<watch::Receiver<()>>,
    waiting: Option<Waiting>,
}

struct Waiting {
    changed: Changed,
    deadline: Pin<Box<Deadline>>,
}

/// What a wait has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The store has answered, or was found to be away.
    Changed,
    /// Too long.
    TooLong,
}

impl LeaseWait {
    /// Of what changes from now on.
    pub(crate) fn new(changes: &watch::Receiver<()>) -> Self {
        let mut changes = changes.clone();
        changes.mark_unchanged();
        Self {
            changes: Some(changes),
            waiting: None,
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        if let Some(changes) = self.changes.take() {
            self.waiting = Some(Waiting {
                changed: next(changes),
                deadline: Box::pin(Deadline::after(PATIENCE)),
            });
        }
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(Waited::TooLong);
        };
        if let Poll::Ready(changes) = waiting.changed.as_mut().poll(cx) {
            waiting.changed = next(changes);
            return Poll::Ready(Waited::Changed);
        }
        ready!(waiting.deadline.as_mut().poll(cx));
        Poll::Ready(Waited::TooLong)
    }
}

fn next(mut changes: watch::Receiver<()>) -> Changed {
    Box::pin(async move {
        if changes.changed().await.is_err() {
            // Nobody will answer any more.
            std::future::pending::<()>().await;
        }
        changes
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_each_answer_and_for_two_seconds() {
        let changes = watch::Sender::new(());
        let mut wait = LeaseWait::new(&changes.subscribe());
        for _ in 0..2 {
            changes.send_replace(());
            let waited = poll_fn(|cx| wait.poll(cx)).await;
            assert_eq!(waited, Waited::Changed);
        }
        let begun = tokio::time::Instant::now();
        drop(changes);
        assert_eq!(poll_fn(|cx| wait.poll(cx)).await, Waited::TooLong);
        assert_eq!(begun.elapsed().as_secs(), 2);
    }
}

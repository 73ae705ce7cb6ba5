//! What each thread that serves has to do, counted by itself: its connections, requests in flight, and when a connection last began
//! or a request last ended. Whoever wants to know of all adds them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Of one thread.
#[derive(Debug)]
pub(crate) struct Load {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// When a connection last began, or a request last ended, in milliseconds after `since`.
    last: AtomicU64,
    since: Instant,
}

/// Of all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Requests in flight: from their head to the end of their answer.
    pub(crate) requests: usize,
    /// When a connection last began, or a request last ended.
    pub(crate) last: Instant,
}

/// Counts a connection as one of its thread's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Load>);

/// Counts a request in the same way.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Load>);

impl Load {
    /// Of a thread that began at `since`.
    pub(crate) fn new(since: Instant) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            since,
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// One more connection.
    pub(crate) fn count(self: &Arc<Self>) -> Counted {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.note();
        Counted(Arc::clone(self))
    }

    pub(crate) fn activity(&self) -> Activity {
        // In this order, which is that of the end of a request turned round.
        let requests = self.requests.load(Ordering::Acquire);
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        Activity {
            requests,
            last: self.since + last,
        }
    }

    fn note(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }
}

impl Activity {
    /// Of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            last: self.last.max(other.last),
        }
    }
}

impl Counted {
    /// A request on this connection.
    pub(crate) fn request(&self) -> InFlight {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.0))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // In this order: whoever sees that nothing is in flight sees since when.
        self.0.note();
        self.0.requests.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_that_goes_on_is_added_up() {
        let start = Instant::now();
        let (one, other) = (Load::new(start), Load::new(start));
        let sum = || one.activity().and(other.activity());
        let nothing = Activity {
            requests: 0,
            last: start,
        };
        assert_eq!(sum(), nothing);
        tokio::time::advance(Duration::from_secs(5)).await;
        let connection = other.count();
        assert_eq!(sum().last, start + Duration::from_secs(5));
        assert_eq!((one.connections(), other.connections()), (0, 1));
        let requests = [connection.request(), connection.request()];
        assert_eq!(sum().requests, 2);
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(requests);
        let over = Activity {
            requests: 0,
            last: start + Duration::from_secs(10),
        };
        assert_eq!(sum(), over);
        // That an idle connection ends is nothing that anybody asked for.
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(connection);
        assert_eq!(sum(), over);
        assert_eq!(other.connections(), 0);
    }
}

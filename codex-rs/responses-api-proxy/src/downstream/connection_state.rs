//! What the parts of the proxy that serve one connection know of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// A request of the connection is being answered, or was not looked at yet.
const BUSY: u64 = 0;
/// It is evicted: no request can begin on it any more.
const EVICTED: u64 = u64::MAX;

/// What the parts of the proxy that serve one connection know of each other.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    /// How often everything written so far had reached the socket.
    flushes: AtomicU64,
    /// A response body waits for the next flush.
    flush_awaited: AtomicBool,
    /// How many requests have a record: those that came to be answered, and the one that was evicted.
    recorded: AtomicU64,
    /// How many requests have been answered, or given up.
    exchanges_ended: AtomicU64,
    /// The answer has no framing but the end of the connection (HTTP/1.0).
    ends_by_close: AtomicBool,
    /// The answer refuses the request.
    is_refusal: AtomicBool,
    /// The caller took nothing of an answer for too long.
    has_stalled: AtomicBool,
    /// The caller has reset it: what is written reaches nobody.
    is_reset: AtomicBool,
    /// The proxy is over once this connection is done.
    is_last: AtomicBool,
    /// It came when the proxy took no new ones any more.
    is_late: AtomicBool,
    /// When it became idle, by the clock of `connection_limit.rs`; [`BUSY`] or [`EVICTED`] otherwise.
    idle_since: AtomicU64,
    evicted: Notify,
}

/// A point in a connection's history of flushes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushMark(u64);

/// Owned, while a request is answered, by whatever is still needed to answer it.
#[derive(Debug)]
pub(crate) struct Exchange(Arc<ConnectionState>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.exchanges_ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Exchange {
    pub(crate) fn connection_state(&self) -> &ConnectionState {
        &self.0
    }
}

impl ConnectionState {
    /// A request begins; `ends_by_close` if its answer can only end by closing.
    pub(crate) fn open_exchange(self: &Arc<Self>, ends_by_close: bool) -> Exchange {
        self.ends_by_close.store(ends_by_close, Ordering::Relaxed);
        self.is_refusal.store(false, Ordering::Relaxed);
        self.note_recorded();
        Exchange(Arc::clone(self))
    }

    /// One more request has a record.
    pub(crate) fn note_recorded(&self) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests have one.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// Where the connection is, as of now.
    pub(crate) fn mark(&self) -> FlushMark {
        FlushMark(self.flushes.load(Ordering::Relaxed))
    }

    /// Ready once everything written before `mark` has reached the socket.
    ///
    /// The waker is that of the connection's own task, which also flushes: a
    /// flush wakes the task it runs in.
    pub(crate) fn poll_flushed_since(&self, mark: FlushMark) -> Poll<()> {
        if self.flushes.load(Ordering::Relaxed) > mark.0 {
            return Poll::Ready(());
        }
        self.flush_awaited.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// Everything written so far is with the kernel. True if somebody waited for it,
    /// in the task that flushes.
    pub(crate) fn note_flush(&self) -> bool {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.flush_awaited.swap(false, Ordering::Relaxed)
    }

    /// How many requests have been answered, or given up.
    pub(crate) fn exchanges_ended(&self) -> u64 {
        self.exchanges_ended.load(Ordering::Relaxed)
    }

    /// Whether the answer being written has no framing but the end of the connection.
    pub(crate) fn ends_by_close(&self) -> bool {
        self.ends_by_close.load(Ordering::Relaxed)
    }

    /// Notes that the answer of this exchange refuses the request.
    pub(crate) fn note_refusal(&self) {
        self.is_refusal.store(true, Ordering::Relaxed);
    }

    /// Whether the answer being written refuses its request.
    pub(crate) fn is_refusal(&self) -> bool {
        self.is_refusal.load(Ordering::Relaxed)
    }

    /// Notes that the caller took nothing of an answer for too long; the connection ends.
    pub(crate) fn note_stalled(&self) {
        self.has_stalled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_stalled(&self) -> bool {
        self.has_stalled.load(Ordering::Relaxed)
    }

    /// Notes that the caller has reset the connection.
    pub(crate) fn note_reset(&self) {
        self.is_reset.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.is_reset.load(Ordering::Relaxed)
    }

    /// Notes that the proxy is over once this connection is done.
    pub(crate) fn end_with_this(&self) {
        self.is_last.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ends_the_proxy(&self) -> bool {
        self.is_last.load(Ordering::Relaxed)
    }

    /// Notes that it came when the proxy took no new ones any more.
    pub(crate) fn note_late(&self) {
        self.is_late.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }

    /// Nothing of a request is there, from `tick` on. Does nothing if it was idle
    /// before.
    pub(crate) fn become_idle(&self, tick: u64) {
        let _ = self
            .idle_since
            .compare_exchange(BUSY, tick, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A request begins. False if the connection was evicted before it could.
    pub(crate) fn become_busy(&self) -> bool {
        self.idle_since
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |since| {
                (since != EVICTED).then_some(BUSY)
            })
            .is_ok()
    }

    /// `None` while it is busy or evicted.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        let since = self.idle_since.load(Ordering::Relaxed);
        Some(since).filter(|&since| since != BUSY && since != EVICTED)
    }

    /// Tells the connection to end now, for a new one; false if a request has
    /// begun since it was found idle.
    pub(crate) fn evict(&self, idle_since: u64) -> bool {
        let is_evicted = self
            .idle_since
            .compare_exchange(idle_since, EVICTED, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        if is_evicted {
            self.evicted.notify_one();
        }
        is_evicted
    }

    #[cfg(test)]
    pub(crate) fn is_evicted(&self) -> bool {
        self.idle_since.load(Ordering::Relaxed) == EVICTED
    }

    /// Waits to be evicted.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

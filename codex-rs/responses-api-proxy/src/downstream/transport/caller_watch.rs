//! Notices that a caller leaves while nobody reads what it sends: its end of the connection then
//! lies behind bytes that wait, or has not even come, because there is no room for what it sent before.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::socket::CallerSocket;
use crate::access::peer_users::PeerUsers;

/// How often a caller is looked for.
pub(super) const INTERVAL: Duration = Duration::from_millis(50);

/// Looks for one caller from time to time, as long as it is polled.
pub(super) struct CallerWatch {
    callers: Arc<PeerUsers>,
    /// Made when it is first needed, and used for all requests of the connection.
    interval: Option<Interval>,
}

impl CallerWatch {
    pub(super) fn new(callers: Arc<PeerUsers>) -> Self {
        Self {
            callers,
            interval: None,
        }
    }

    /// Ready once the caller has left.
    pub(super) fn poll_left(
        &mut self,
        cx: &mut Context<'_>,
        socket: &impl CallerSocket,
    ) -> Poll<()> {
        let interval = self.interval.get_or_insert_with(|| {
            let mut interval = tokio::time::interval_at(Instant::now() + INTERVAL, INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        while interval.poll_tick(cx).is_ready() {
            if socket.has_left(&self.callers) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

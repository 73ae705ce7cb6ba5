//! Keeps a body from being taken faster than it is written, where the connection would buffer all of it.

use std::task::{Context, Poll};

use crate::upstream::Outgoing;

/// How much of a body may wait to be written to an upstream that does not read, in bytes.
const UNDER_WAY: u64 = 4 * 1024;

/// Keeps what was handed over and is not written yet below [`UNDER_WAY`].
#[derive(Debug)]
pub(super) struct Pace {
    outgoing: Outgoing,
    /// What will have been written when all that was handed over is.
    due: u64,
}

impl Pace {
    /// What is written first is the head: that much more may be under way.
    pub(super) fn from_now(outgoing: &Outgoing) -> Self {
        Self {
            due: outgoing.written(),
            outgoing: outgoing.clone(),
        }
    }

    /// So many more bytes were handed over.
    pub(super) fn add(&mut self, bytes: u64) {
        self.due += bytes;
    }

    /// Ready when more may be handed over.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_behind = || self.due.saturating_sub(self.outgoing.written()) >= UNDER_WAY;
        if !is_behind() {
            return Poll::Ready(());
        }
        self.outgoing.wake_when_written(cx);
        if is_behind() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

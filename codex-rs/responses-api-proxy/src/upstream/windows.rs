//! More of an answer on its way than lies here unread, as long as its caller keeps up. Pure.
//!
//! An HTTP/2 server may send as much of an answer as its window allows (RFC 9113, section 5.2), so a window
//! is what a caller that does not read can make us keep. It is also the most that can be under way: with
//! 64 KiB and a server that is 80 ms away, an answer comes by 800 KB a second, however fast the network. And
//! h2 has one size for all windows of a connection. So this stands between h2 and the socket, where there are
//! frames. A server whose answer is read as fast as it comes is granted more than h2 knows of, by WINDOW_UPDATE
//! frames of ours between those of h2. What comes beyond h2's own window is held here until h2 says, by its own
//! WINDOW_UPDATE, that the caller has read on. What is granted is bounded for one answer, for one connection,
//! and for the process; where nothing is left, h2's window is what there is.
//!
//! Only data is held, and what ends its stream behind it: trailers, and resets. All else passes at once, frame
//! by frame as it came. Trailers that wait are read by h2 later than header blocks that came behind them, which
//! is sound as long as they neither use nor change the table of earlier fields (RFC 7541, section 2.3.2); the
//! server is told that there is none (`connection.rs`), and trailers are looked at before they are held.
//!
//! DATA frames without data that do not end a stream are dropped: they say nothing, and h2 ends a connection
//! for the hundred and first in its life. And an answer of which too many frames lie unread is malformed to h2:
//! each costs it memory that no window counts.

mod budget;
mod buffered;
mod frame;
mod sent;
mod stream;

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use self::budget::Budget;
use self::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME_HEAD, GOAWAY, HEADERS, Head, Outgoing,
    PADDED, PRIORITY, PUSH_PROMISE, RST_STREAM, stands_alone,
};
use self::stream::Stream;

/// h2's window of each stream, and what HTTP/2 begins with, in bytes: how much of an answer lies with h2
/// unread.
pub(super) const STREAM_WINDOW: u32 = 65_535;

/// The most that is granted beyond it: to one stream, and to those of one connection, in bytes.
const MOST_OF_STREAM: usize = 8 * 1024 * 1024;
const MOST_OF_CONNECTION: usize = 12 * 1024 * 1024;

/// The longest frame that h2 takes; it ends the connection for a longer one.
const MAX_FRAME: usize = 16 * 1024;

/// The windows of one connection. Without `Debug`: answers are in it.
pub(super) struct Windows {
    /// By their numbers: few, so that one is found faster than its number is hashed.
    streams: BTreeMap<u32, Stream>,
    budget: &'static Budget,
    /// The last stream that h2 has begun.
    last_begun: u32,
    /// How much the next answer is taken to be, in bytes: as much as the last one was that was read fast, and
    /// half as much after each that was not.
    guess: usize,
    /// What has come and was not looked at, or found no room; it begins with a frame.
    incoming: BytesMut,
    /// So many bytes at its front may pass.
    approved: usize,
    /// They end within a header block, which goes on in the next frame.
    is_in_block: bool,
    /// Frames that were held, or are ours, for h2.
    ready: BytesMut,
    /// Whatever comes passes as it is: h2 says what is wrong with it.
    is_lost: bool,
    /// Nothing more comes from the server, but something is held.
    is_over: bool,
    outgoing: Outgoing,
    /// WINDOW_UPDATE frames of ours for the server.
    updates: BytesMut,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self::within(&budget::ALL)
    }

    fn within(budget: &'static Budget) -> Self {
        Self {
            streams: BTreeMap::new(),
            budget,
            last_begun: 0,
            guess: 0,
            incoming: BytesMut::new(),
            approved: 0,
            is_in_block: false,
            ready: BytesMut::new(),
            is_lost: false,
            is_over: false,
            outgoing: Outgoing::default(),
            updates: BytesMut::new(),
        }
    }
}

/// What comes from the server.
impl Windows {
    /// Takes what has come from the socket. As much as is returned of it may pass as it stands; all else is
    /// kept, for [`hand_over`](Self::hand_over).
    pub(super) fn take(&mut self, fresh: &[u8]) -> usize {
        if !self.incoming.is_empty() || !self.ready.is_empty() {
            self.incoming.extend_from_slice(fresh);
            return 0;
        }
        self.approve(fresh);
        let passed = self.approved.min(fresh.len());
        self.approved -= passed;
        let rest = fresh.get(passed..).unwrap_or(&[]);
        if !rest.is_empty() {
            self.incoming.extend_from_slice(rest);
        }
        passed
    }

    /// Hands over to h2 what it may have; false if there is nothing.
    pub(super) fn hand_over(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        loop {
            if self.can_interrupt() && !self.ready.is_empty() {
                let most = self.ready.len();
                hand_over(&mut self.ready, most, buf);
                return true;
            }
            let incoming = std::mem::take(&mut self.incoming);
            self.approve(&incoming);
            self.incoming = incoming;
            if self.approved > 0 {
                self.approved -= hand_over(&mut self.incoming, self.approved, buf);
                return true;
            }
            let Some(head) = Head::of_whole(&self.incoming) else {
                return false;
            };
            let incoming = std::mem::take(&mut self.incoming);
            let length = FRAME_HEAD + head.length;
            let is_kept = self.keep(head, incoming.get(..length).unwrap_or(&[]));
            self.incoming = incoming;
            if is_kept {
                self.incoming.advance(length);
            } else {
                // It passes after all, behind something for which h2 resets the stream.
                self.forget(head.stream);
                Head::of_malformed(head.stream).put(&mut self.ready, frame::MALFORMED);
            }
        }
    }

    /// Whether frames may be put before what comes next.
    fn can_interrupt(&self) -> bool {
        self.approved == 0 && !self.is_in_block && !self.is_lost
    }

    /// Lets pass whole frames at the front of `bytes`, up to one that may not, or that others come before.
    fn approve(&mut self, bytes: &[u8]) {
        while self.ready.is_empty() || self.is_in_block || self.is_lost {
            let rest = bytes.get(self.approved..).unwrap_or(&[]);
            let head = rest.first_chunk().map(|&head| Head::read(head));
            self.is_lost |= head.is_some_and(|head| head.length > MAX_FRAME);
            if self.is_lost {
                self.approved = bytes.len();
                return;
            }
            match Head::of_whole(rest) {
                Some(head) if self.may_pass(head) => self.approved += FRAME_HEAD + head.length,
                _ => return,
            }
        }
    }

    /// Whether the frame that comes next may pass, which it does then.
    fn may_pass(&mut self, head: Head) -> bool {
        if self.is_in_block {
            // For anything else than a CONTINUATION h2 ends the connection.
            self.is_in_block = head.kind == CONTINUATION && head.flags & END_HEADERS == 0;
            return true;
        }
        if head.says_nothing() {
            return false;
        }
        if let Some(stream) = self.streams.get_mut(&head.stream) {
            if !stream.buffered.is_empty() && matches!(head.kind, HEADERS | RST_STREAM) {
                return false;
            }
            if head.kind == DATA && !stream.may_pass(head.length) {
                return false;
            }
            if head.ends_stream() {
                self.forget(head.stream);
            }
        }
        let is_block = matches!(head.kind, HEADERS | PUSH_PROMISE);
        self.is_in_block = is_block && head.flags & END_HEADERS == 0;
        true
    }

    /// Keeps a frame that may not pass, or drops one without data; false if it may not be kept either: its
    /// server goes beyond what it was granted, or it is nothing that can wait.
    fn keep(&mut self, head: Head, frame: &[u8]) -> bool {
        let Some(stream) = self
            .streams
            .get_mut(&head.stream)
            .filter(|_| !head.says_nothing())
        else {
            return true;
        };
        let payload = frame.get(FRAME_HEAD..).unwrap_or(&[]);
        let is_kept = match head.kind {
            DATA => stream.keep_data(head, payload),
            HEADERS => {
                let flags = head.flags & (END_STREAM | END_HEADERS | PADDED | PRIORITY);
                let is_end = flags == END_STREAM | END_HEADERS && stream.end.is_empty();
                is_end && stands_alone(payload) && stream.keep_end(frame)
            }
            _ => stream.keep_end(frame),
        };
        if is_kept {
            self.release(head.stream);
        }
        is_kept
    }

    /// Lets pass what h2's window allows of what is held of a stream, and behind that its end.
    pub(super) fn release(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        while stream.window > 0 && !stream.buffered.is_empty() {
            let most = stream.window.min(MAX_FRAME);
            stream.window -= stream.buffered.move_to(&mut self.ready, id, most);
        }
        if stream.buffered.is_empty() && !stream.end.is_empty() {
            self.ready.extend_from_slice(&stream.end);
            self.forget(id);
        }
    }

    /// A stream is over. What h2 will never see of it is made up for to the server.
    pub(super) fn forget(&mut self, id: u32) {
        if let Some(stream) = self.streams.remove(&id) {
            self.update(0, stream.buffered.len() + stream.padding);
            self.guess = if stream.is_fast {
                stream.received.saturating_add(stream.received / 8)
            } else {
                self.guess / 2
            };
        }
    }

    /// Nothing more comes. As long as something is held, h2 is not to know: it goes on until that is read,
    /// while streams end of which nothing is held, and none begins.
    pub(super) fn end(&mut self) {
        if !self.holds_back() || self.is_in_block {
            self.is_lost = true;
            return;
        }
        self.is_over = true;
        // No frame in it is whole.
        self.incoming.clear();
        Head::of(GOAWAY, 0, 8).put(&mut self.ready, &frame::GOING_AWAY);
        let ids: Vec<u32> = self.streams.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.streams.get_mut(&id)
                && stream.end.is_empty()
            {
                Head::of(RST_STREAM, id, 4).put(&mut stream.end, &frame::CUT);
                self.release(id);
            }
        }
    }

    /// Whether anything is held.
    pub(super) fn holds_back(&self) -> bool {
        !self.is_lost
            && self
                .streams
                .values()
                .any(|stream| !stream.buffered.is_empty())
    }

    /// Whether h2 can read on at once.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

/// Moves at most so much to `buf`, and as much as there is room for; returns how much that was.
fn hand_over(from: &mut BytesMut, most: usize, buf: &mut ReadBuf<'_>) -> usize {
    let length = most.min(from.len()).min(buf.remaining());
    buf.put_slice(from.get(..length).unwrap_or(&[]));
    from.advance(length);
    if from.is_empty() {
        // Its memory too.
        *from = BytesMut::new();
    }
    length
}

#[cfg(test)]
mod tests;

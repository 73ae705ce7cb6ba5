//! One answer under way: what its server may send, what of it waits, and whether its caller keeps up.

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::budget::Grant;
use super::buffered::BufferedData;
use super::frame::{DATA, END_STREAM, Head};
use super::{MAX_FRAME, STREAM_WINDOW};

/// More is granted where so much was read within so long of the arrival of its first byte. It is the burst
/// that a server sends at once: how far away that is makes no difference, and no model writes as fast.
pub(super) const READ: usize = 40 * 1024;
const IN: Duration = Duration::from_millis(375);

/// So many frames of data may lie with h2 unread, which keeps a quarter of a KiB for each, whatever is in it. In
/// frames of 8 bytes, less than an event can have, they fill the window.
pub(super) const MAX_UNREAD_FRAMES: usize = 8 * 1024;

/// One answer, from its request to its end.
pub(super) struct Stream {
    /// What h2 may still get of it.
    pub(super) window: usize,
    /// How many frames of it have passed since h2 last said that it was read on.
    pub(super) unread_frames: usize,
    /// What the server was granted beyond that.
    pub(super) grant: Grant,
    /// What h2 may not have yet, at most as much as was granted; nothing as long as the window is open.
    pub(super) buffered: BufferedData,
    /// Frames behind it, after which nothing comes.
    pub(super) end: BytesMut,
    /// Padding of what was held: the server's window is smaller by that, and h2 does not know.
    pub(super) padding: usize,
    /// When what is counted began to come, and how much of it was read.
    pub(super) since: Option<Instant>,
    pub(super) read: usize,
    /// How much has come in all, and whether it was read fast.
    pub(super) received: usize,
    pub(super) is_fast: bool,
}

impl Stream {
    pub(super) fn new(grant: Grant) -> Self {
        Self {
            window: STREAM_WINDOW as usize,
            unread_frames: 0,
            grant,
            buffered: BufferedData::default(),
            end: BytesMut::new(),
            padding: 0,
            since: None,
            read: 0,
            received: 0,
            is_fast: false,
        }
    }

    /// Whether h2 may have so much more of it now.
    fn has_room_for(&self, length: usize) -> bool {
        self.buffered.is_empty() && length <= self.window
    }

    /// Whether a frame of data may pass as it stands, which it does then.
    pub(super) fn may_pass(&mut self, length: usize) -> bool {
        let may_pass = self.has_room_for(length) && self.unread_frames < MAX_UNREAD_FRAMES;
        if may_pass {
            self.window -= length;
            self.unread_frames += 1;
            self.note_come(length);
        }
        may_pass
    }

    pub(super) fn note_come(&mut self, length: usize) {
        self.received = self.received.saturating_add(length);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Keeps a frame of data; false if the server may not send it.
    pub(super) fn keep_data(&mut self, head: Head, payload: &[u8]) -> bool {
        let kept = self.buffered.len() + self.padding;
        let allowed = (self.window + self.grant.bytes()).saturating_sub(kept);
        let Some(data) = head.without_padding(payload) else {
            return false;
        };
        // What has room and may not pass comes in too many frames.
        if head.length > allowed || !self.end.is_empty() || self.has_room_for(head.length) {
            return false;
        }
        self.note_come(head.length);
        self.buffered.push(data);
        self.padding += head.length - data.len();
        if head.flags & END_STREAM != 0 {
            let end = Head {
                flags: END_STREAM,
                ..Head::of(DATA, head.stream, 0)
            };
            self.keep_end(&end.written());
        }
        true
    }

    /// Keeps a frame that comes behind all data; false if there are too many. The server sends no more, so
    /// that others may have what is not used of the grant.
    pub(super) fn keep_end(&mut self, frame: &[u8]) -> bool {
        let fits = self.end.len() + frame.len() <= 2 * MAX_FRAME;
        if fits {
            self.end.extend_from_slice(frame);
            self.grant.shrink_to(self.buffered.len());
        }
        fits
    }

    /// Whether what was counted was read fast; nothing until enough was.
    pub(super) fn is_read_fast(&mut self, bytes: usize) -> Option<bool> {
        self.read = self.read.saturating_add(bytes);
        if self.read < READ {
            return None;
        }
        self.read = 0;
        let now = Instant::now();
        // What is counted next has come already, or begins with what comes.
        let next = (!self.buffered.is_empty()).then_some(now);
        let since = std::mem::replace(&mut self.since, next);
        Some(since.is_some_and(|since| now.duration_since(since) <= IN))
    }
}

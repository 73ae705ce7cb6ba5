//! More of an answer on its way than lies here unread, as long as its caller keeps up. Pure.
//!
//! An HTTP/2 server may send as much of an answer as its window allows (RFC 9113, section 5.2), so a window
//! is what a caller that does not read can make us keep. It is also the most that can be under way: with
//! 64 KiB and a server that is 80 ms away, an answer comes by 800 KB a second, however fast the network. And
//! h2 has one size for all windows of a connection. So this stands between h2 and the socket, where there are
//! frames. A server that has used up most of its window while all of it was read gets more than h2 knows of, by
//! WINDOW_UPDATE frames of ours between those of h2. What comes beyond h2's own window waits here until h2
//! says, by its own WINDOW_UPDATE, that the caller has read on. All that is granted in this way is bounded, for
//! one answer, for one connection, and for the process; where nothing is left, h2's window is what there is.
//!
//! Only what the server sends is held back, in its order within each stream, and never the rest of a frame or
//! of a header block that has begun to pass.
//!
//! DATA frames without data that do not end a stream are dropped: they say nothing, and h2 ends a connection
//! for the hundred and first in its life.

mod frame;
mod held;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use tokio::time::Instant;

use self::frame::{
    CONTINUATION, DATA, END_STREAM, FRAME_HEAD, HEADERS, Head, Outgoing, Said, put_window_update,
};
use self::held::Held;

/// h2's window of each stream, and what HTTP/2 begins with, in bytes: how much of an answer lies with h2
/// unread. Many small frames take several times as much memory.
pub(super) const STREAM_WINDOW: u32 = 65_535;
const WINDOW: usize = STREAM_WINDOW as usize;

/// The most that is granted beyond it: to one stream, to those of one connection, and in all, in bytes.
const MOST_OF_STREAM: usize = 8 * 1024 * 1024;
const MOST_OF_CONNECTION: usize = 12 * 1024 * 1024;
const MOST_IN_ALL: usize = 32 * 1024 * 1024;

/// By how much a window grows at a time: from 64 KiB to 1 MiB to the most.
const GROWTH: usize = 16;

/// While less than this is granted in all, it grows to the most at once, which spares a round trip; and a
/// request on a connection whose last answers were read fast has it from the beginning, which spares another.
const PLENTY: usize = MOST_IN_ALL / 2;

/// It grows where three quarters of it came, and were read, at this rate at least, in bytes a second. By 64 KiB
/// a round trip that is what comes from half a second away; and it is far more than a model writes.
const FAST: usize = 128 * 1024;

/// The longest frame that h2 takes; it ends the connection for a longer one.
const MAX_FRAME: usize = 16 * 1024;

/// How much has been granted by all connections together.
static GRANTED: AtomicUsize = AtomicUsize::new(0);

/// What becomes of the frame that is coming in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Pass,
    /// It may pass, but what was held back and may pass now comes first.
    Behind,
    Hold(u32),
    Drop,
}

/// One stream, from its request or the head of its answer to its end.
struct Stream {
    /// What h2 may get of it.
    window: usize,
    /// How much has come, since the window grew or since `since`.
    received: usize,
    since: Instant,
    /// What the server was granted beyond h2's window, and whether that was of use.
    extra: usize,
    has_come_fast: bool,
    /// What h2 may not have yet.
    held: Held,
    /// It has ended, or was given up: h2 may have whatever comes, and knows what to do with it.
    is_over: bool,
}

impl Stream {
    fn new(now: Instant) -> Self {
        Self {
            window: WINDOW,
            received: 0,
            since: now,
            extra: 0,
            has_come_fast: false,
            held: Held::default(),
            is_over: false,
        }
    }

    /// Whether most of a window has come, and at a rate for which a larger one would be of use. Begins
    /// anew where it has come more slowly, and where it has come.
    fn comes_fast(&mut self, whole: usize, now: Instant) -> Option<bool> {
        if self.received < whole / 4 * 3 {
            return None;
        }
        let millis = now.saturating_duration_since(self.since).as_millis();
        let millis = usize::try_from(millis).unwrap_or(usize::MAX);
        let is_fast = self.received >= (FAST / 1000).saturating_mul(millis);
        self.received = 0;
        self.since = now;
        Some(is_fast)
    }
}

/// The windows of one connection. Without `Debug`: answers are in it.
pub(super) struct Windows {
    streams: HashMap<u32, Stream>,
    /// What all of them were granted beyond h2's windows.
    extra: usize,
    /// The last window of an answer that had all come was read as fast as it came.
    is_fast: bool,
    /// The head of the frame that is coming in, as far as it is there.
    head: BytesMut,
    /// How much of that frame's payload is still to come, and where it goes.
    to_come: usize,
    way: Way,
    /// A header block that is coming in.
    block: Option<Way>,
    /// Frames that were held back and may pass, and those behind them.
    ready: BytesMut,
    /// A frame that comes behind them, or a header block, as far as it is there.
    behind: BytesMut,
    /// Frames are not known any more; h2 says what is wrong with them.
    is_lost: bool,
    outgoing: Outgoing,
    /// WINDOW_UPDATE frames of ours to be sent.
    grants: BytesMut,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            streams: HashMap::new(),
            extra: 0,
            is_fast: false,
            head: BytesMut::new(),
            to_come: 0,
            way: Way::Pass,
            block: None,
            ready: BytesMut::new(),
            behind: BytesMut::new(),
            is_lost: false,
            outgoing: Outgoing::default(),
            grants: BytesMut::new(),
        }
    }
}

/// What comes from the server.
impl Windows {
    /// The beginning of a frame's head, which comes before the next bytes from the socket.
    pub(super) fn unfinished_head(&self) -> &[u8] {
        &self.head
    }

    /// Takes bytes that have come from the socket by `now`, with [`unfinished_head`](Self::unfinished_head)
    /// before them, and leaves those that may pass at the front; returns how many they are.
    pub(super) fn sort(&mut self, fresh: &mut [u8], now: Instant) -> usize {
        self.head.clear();
        let (mut at, mut passed) = (0, 0);
        while let Some(rest) = fresh.get(at..).filter(|rest| !rest.is_empty()) {
            let here = if self.is_lost {
                rest.len()
            } else if self.to_come > 0 {
                let here = self.to_come.min(rest.len());
                self.to_come -= here;
                here
            } else if let Some(&head) = rest.first_chunk() {
                self.begin(Head::read(head), now);
                if self.is_lost {
                    continue;
                }
                FRAME_HEAD
            } else {
                self.head.extend_from_slice(rest);
                return passed;
            };
            match self.way {
                Way::Hold(stream) if !self.is_lost => self.hold(stream, rest.get(..here)),
                Way::Behind if !self.is_lost => self.put_behind(rest.get(..here)),
                Way::Drop if !self.is_lost => {}
                _ => {
                    if at != passed {
                        fresh.copy_within(at..at + here, passed);
                    }
                    passed += here;
                }
            }
            at += here;
        }
        passed
    }

    /// Decides about the frame that begins.
    fn begin(&mut self, head: Head, now: Instant) {
        if head.length > MAX_FRAME {
            self.is_lost = true;
            return;
        }
        self.to_come = head.length;
        if head.kind == HEADERS && head.flags & END_STREAM == 0 {
            let fresh = || Stream::new(now);
            self.streams.entry(head.stream).or_insert_with(fresh);
        }
        self.way = match self.streams.get_mut(&head.stream) {
            _ if head.kind == CONTINUATION => self.block.unwrap_or(Way::Pass),
            _ if head.kind == DATA && head.length == 0 && head.flags & END_STREAM == 0 => Way::Drop,
            None => Way::Pass,
            Some(stream) => {
                let data = if head.kind == DATA { head.length } else { 0 };
                stream.received = stream.received.saturating_add(data);
                if stream.held.is_empty() && data <= stream.window {
                    stream.window -= data;
                    Way::Pass
                } else {
                    Way::Hold(head.stream)
                }
            }
        };
        if self.way == Way::Pass && head.kind != CONTINUATION && !self.ready.is_empty() {
            self.way = Way::Behind;
        }
        if let Way::Hold(id) = self.way
            && let Some(stream) = self.streams.get_mut(&id)
        {
            stream.held.begin(head);
        }
        if matches!(head.kind, HEADERS | CONTINUATION) {
            self.block = (!head.ends_block()).then_some(self.way);
        }
        if matches!(self.way, Way::Pass | Way::Behind) && head.ends_stream() {
            self.end(head.stream);
        }
    }

    /// Keeps a part of a frame that comes behind what is ready, and makes it ready when all of it is there.
    fn put_behind(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) => self.behind.extend_from_slice(part),
            None => self.is_lost = true,
        }
        if self.to_come == 0 && self.block.is_none() {
            self.ready.extend_from_slice(&self.behind);
            self.behind.clear();
        }
    }

    /// Keeps a part of a frame, and lets pass what may once all of it is there: frames other than DATA
    /// wait for those before them alone.
    fn hold(&mut self, id: u32, part: Option<&[u8]>) {
        let is_kept = match (self.streams.get_mut(&id), part) {
            (Some(stream), Some(part)) => stream.held.put(part),
            _ => false,
        };
        // A frame without its beginning is none.
        self.is_lost |= !is_kept;
        if self.to_come == 0 {
            self.release(id);
        }
    }

    /// Lets pass what h2's window allows of what was held back of a stream.
    fn release(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        while let Some(head) = stream.held.first() {
            if head.kind == DATA {
                if head.length > stream.window {
                    break;
                }
                stream.window -= head.length;
            }
            stream.held.pass_first(&mut self.ready);
            if head.ends_stream() {
                let granted = end(stream);
                self.extra -= granted;
                self.is_fast &= granted == 0 || stream.has_come_fast;
            }
        }
        if stream.is_over && stream.held.is_empty() {
            self.streams.remove(&id);
        }
    }

    /// The server has said all of it.
    fn end(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            let granted = end(stream);
            self.extra -= granted;
            self.is_fast &= granted == 0 || stream.has_come_fast;
            self.release(id);
        }
    }

    /// At most so much of what was held back and may pass now; nothing in the middle of a frame or of a header
    /// block.
    pub(super) fn take_ready(&mut self, most: usize) -> Option<BytesMut> {
        if !self.is_ready() || most == 0 {
            return None;
        }
        if self.ready.len() <= most {
            return Some(std::mem::take(&mut self.ready));
        }
        // The rest follows before anything else.
        Some(self.ready.split_to(most))
    }

    /// Whether there is something to take.
    pub(super) fn is_ready(&self) -> bool {
        let is_between = self.to_come == 0 || self.way != Way::Pass;
        let is_in_block = matches!(self.block, Some(Way::Pass));
        is_between && !is_in_block && !self.is_lost && !self.ready.is_empty()
    }

    /// Whether anything is held back that may pass later, although nothing comes from the socket any more. In
    /// the middle of a frame that h2 has begun to read nothing can.
    pub(super) fn holds_back(&self) -> bool {
        let is_between = self.to_come == 0 || self.way != Way::Pass;
        let can_pass = |stream: &Stream| stream.held.first().is_some();
        is_between && (self.is_ready() || self.streams.values().any(can_pass))
    }
}

/// What h2 says.
impl Windows {
    /// Takes bytes that h2 has sent by `now`, in their order.
    pub(super) fn follow(&mut self, sent: &[u8], now: Instant) {
        let mut said = Vec::new();
        self.outgoing.follow(sent, &mut said);
        for said in said {
            match said {
                Said::Begun(id) => self.note_begun(id, now),
                Said::Read(id, bytes) => self.note_read(id, bytes, now),
                Said::GivenUp(id) => self.give_up(id),
            }
        }
    }

    /// A request begins.
    fn note_begun(&mut self, id: u32, now: Instant) {
        let has_nothing = self.extra == 0;
        if self.is_fast && has_nothing && is_plenty() && !self.streams.contains_key(&id) {
            self.streams.insert(id, Stream::new(now));
            self.grant(id, MOST_OF_STREAM);
        }
    }

    /// The caller of a stream has read on, and h2 has told the server that it may send so much more.
    fn note_read(&mut self, id: u32, bytes: usize, now: Instant) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.window = stream.window.saturating_add(bytes);
        let whole = WINDOW + stream.extra;
        let keeps_up = stream.held.len() <= whole / 4;
        // A window that is large already says nothing of whoever reads little.
        let is_fast = stream.comes_fast(whole.min(1024 * 1024), now);
        if let Some(is_fast) = is_fast.filter(|_| !stream.is_over) {
            self.is_fast = is_fast && keeps_up;
            if self.is_fast {
                stream.has_come_fast = true;
                let factor = if is_plenty() { MOST_OF_STREAM } else { GROWTH };
                self.grant(id, whole.saturating_mul(factor).min(MOST_OF_STREAM));
            }
        }
        self.release(id);
    }

    /// Grants a stream so much beyond h2's window, as far as there is so much.
    fn grant(&mut self, id: u32, wanted: usize) {
        let left = MOST_OF_CONNECTION.saturating_sub(self.extra);
        if let Some(stream) = self.streams.get_mut(&id) {
            let more = take(wanted.saturating_sub(stream.extra).min(left));
            if let Ok(bytes @ 1..) = u32::try_from(more) {
                stream.extra += more;
                self.extra += more;
                put_window_update(&mut self.grants, id, bytes);
            }
        }
    }

    /// Nobody wants the answer any more. h2 throws away what comes of it; so is what was held back, but for header
    /// blocks, which h2 has to read to know later ones. That none of it was for h2 is made up for to the server.
    fn give_up(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        self.extra -= end(stream);
        let mut dropped = 0;
        while let Some(head) = stream.held.first() {
            if head.kind == DATA {
                stream.held.drop_first();
                dropped += head.length;
            } else {
                stream.held.pass_first(&mut self.ready);
            }
        }
        if stream.held.is_empty() {
            self.streams.remove(&id);
        }
        if let Ok(bytes @ 1..) = u32::try_from(dropped) {
            put_window_update(&mut self.grants, 0, bytes);
        }
    }

    /// What is to be sent before anything else of h2's; nothing in the middle of a frame or of a header block.
    pub(super) fn grants(&mut self) -> Option<&mut BytesMut> {
        (self.outgoing.is_between() && !self.grants.is_empty()).then_some(&mut self.grants)
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        give_back(self.extra);
    }
}

/// Lets h2 have whatever comes of a stream; returns what that was granted beyond h2's window, which is given
/// back.
fn end(stream: &mut Stream) -> usize {
    stream.is_over = true;
    stream.window = usize::MAX;
    let extra = std::mem::take(&mut stream.extra);
    give_back(extra);
    extra
}

fn is_plenty() -> bool {
    GRANTED.load(Ordering::Relaxed) < PLENTY
}

/// Takes as much of what all may be granted as there is of `wanted`.
fn take(wanted: usize) -> usize {
    let mut taken = 0;
    // It never fails: the closure has an answer to anything.
    let _ = GRANTED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |granted| {
        taken = wanted.min(MOST_IN_ALL.saturating_sub(granted));
        Some(granted + taken)
    });
    taken
}

fn give_back(taken: usize) {
    GRANTED.fetch_sub(taken, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;

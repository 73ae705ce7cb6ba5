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

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, BufMut, BytesMut};
use tokio::time::Instant;

/// h2's window of each stream, and what HTTP/2 begins with, in bytes: how much of an answer lies with h2
/// unread. Many small frames take several times as much memory.
pub(super) const STREAM_WINDOW: u32 = 65_535;

/// The most that is granted beyond it: to one stream, to those of one connection, and in all, in bytes.
const MOST_OF_STREAM: usize = 4 * 1024 * 1024;
const MOST_OF_CONNECTION: usize = 8 * 1024 * 1024;
const MOST_IN_ALL: usize = 32 * 1024 * 1024;

/// By how much a window grows at a time: from 64 KiB to 1 MiB to the most.
const GROWTH: usize = 16;

/// It grows where three quarters of it came, and were read, at this rate at least, in bytes a second. By 64 KiB
/// a round trip that is what comes from half a second away; and it is far more than a model writes.
const FAST: usize = 128 * 1024;

/// The preface, which opens the connection (section 3.4), and the head of a frame (section 4.1).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// The longest frame that h2 takes; it ends the connection for a longer one.
const MAX_FRAME: usize = 16 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How much has been granted by all connections together.
static GRANTED: AtomicUsize = AtomicUsize::new(0);

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn read(bytes: [u8; FRAME_HEAD]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        Self {
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    /// The one at the front of `bytes`, if it is there with all of its frame.
    fn of_whole(bytes: &[u8]) -> Option<Self> {
        let head = Self::read(*bytes.first_chunk()?);
        (bytes.len() >= FRAME_HEAD + head.length).then_some(head)
    }

    fn ends_stream(self) -> bool {
        self.kind == RST_STREAM
            || (matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0)
    }

    fn ends_block(self) -> bool {
        self.flags & END_HEADERS != 0
    }
}

/// What becomes of the frame that is coming in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Pass,
    Hold(u32),
    Drop,
}

/// One stream, from the head of its answer to its end.
struct Stream {
    /// What h2 may get of it.
    window: usize,
    /// How much has come, since the window grew or since `since`.
    received: usize,
    since: Instant,
    /// What the server was granted beyond h2's window.
    extra: usize,
    /// Whole frames, apart from the last one, that h2 may not have yet.
    held: BytesMut,
    /// It has ended, or was given up: h2 may have whatever comes, and knows what to do with it.
    is_over: bool,
}

impl Stream {
    /// Whether most of a window has come, and at a rate for which a larger one would be of use. Begins
    /// anew where it has come more slowly, and where it has come.
    fn comes_fast(&mut self, whole: usize, now: Instant) -> bool {
        if self.received < whole / 4 * 3 {
            return false;
        }
        let millis = now.saturating_duration_since(self.since).as_millis();
        let millis = usize::try_from(millis).unwrap_or(usize::MAX);
        let is_fast = self.received >= (FAST / 1000).saturating_mul(millis);
        self.received = 0;
        self.since = now;
        is_fast
    }

    /// Lets h2 have whatever comes; returns what it was granted beyond h2's window, which is given back.
    fn end(&mut self) -> usize {
        self.is_over = true;
        self.window = usize::MAX;
        let extra = std::mem::take(&mut self.extra);
        give_back(extra);
        extra
    }
}

/// The windows of one connection. Without `Debug`: answers are in it.
pub(super) struct Windows {
    streams: HashMap<u32, Stream>,
    /// What all of them were granted beyond h2's windows.
    extra: usize,
    /// The head of the frame that is coming in, as far as it is there.
    head: BytesMut,
    /// How much of that frame's payload is still to come, and where it goes.
    to_come: usize,
    way: Way,
    /// A header block that is coming in.
    block: Option<Way>,
    /// Frames that were held back and may pass.
    ready: BytesMut,
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
            head: BytesMut::new(),
            to_come: 0,
            way: Way::Pass,
            block: None,
            ready: BytesMut::new(),
            is_lost: false,
            outgoing: Outgoing::default(),
            grants: BytesMut::new(),
        }
    }
}

impl Windows {
    /// The beginning of a frame's head, which comes before the next bytes from the socket.
    pub(super) fn unfinished_head(&self) -> &[u8] {
        &self.head
    }

    /// Takes bytes that have come from the socket by `now`, with [`unfinished_head`](Self::unfinished_head) before
    /// them, and leaves those that may pass at the front; returns how many they are.
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

    /// Keeps a part of a frame, and lets pass what may once all of it is there: frames other than DATA
    /// wait for those before them alone.
    fn hold(&mut self, id: u32, part: Option<&[u8]>) {
        match (self.streams.get_mut(&id), part) {
            (Some(stream), Some(part)) => stream.held.extend_from_slice(part),
            // A frame without its beginning is none.
            _ => self.is_lost = true,
        }
        if self.to_come == 0 {
            self.release(id);
        }
    }

    /// Decides about the frame that begins.
    fn begin(&mut self, head: Head, now: Instant) {
        if head.length > MAX_FRAME {
            self.is_lost = true;
            return;
        }
        self.to_come = head.length;
        let begins_answer = head.kind == HEADERS && head.flags & END_STREAM == 0;
        if begins_answer && !self.is_known(head.stream) {
            let fresh = Stream {
                window: STREAM_WINDOW as usize,
                received: 0,
                since: now,
                extra: 0,
                held: BytesMut::new(),
                is_over: false,
            };
            self.streams.insert(head.stream, fresh);
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
        if matches!(head.kind, HEADERS | CONTINUATION) {
            self.block = (!head.ends_block()).then_some(self.way);
        }
        if self.way == Way::Pass && head.ends_stream() {
            self.end(head.stream);
        }
    }

    fn is_known(&self, stream: u32) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Lets pass what h2's window allows of what was held back of a stream.
    fn release(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        while let Some((head, length)) = whole_at_front(&stream.held) {
            if head.kind == DATA && head.length > stream.window {
                break;
            }
            if head.kind == DATA {
                stream.window -= head.length;
            }
            self.ready.extend_from_slice(&stream.held.split_to(length));
            if head.ends_stream() {
                self.extra -= stream.end();
            }
        }
        if stream.held.is_empty() {
            // Nothing is kept for it.
            stream.held = BytesMut::new();
            if stream.is_over {
                self.streams.remove(&id);
            }
        }
    }

    /// The stream is over, or given up.
    fn end(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.extra -= stream.end();
            self.release(id);
        }
    }

    /// Takes bytes that h2 has sent by `now`, in their order.
    pub(super) fn follow(&mut self, sent: &[u8], now: Instant) {
        let mut said = Vec::new();
        self.outgoing.follow(sent, &mut said);
        for said in said {
            match said {
                Said::Read(id, bytes) => self.note_read(id, bytes, now),
                Said::GivenUp(id) => self.end(id),
            }
        }
    }

    /// The caller of a stream has read on, and h2 has told the server that it may send so much more.
    fn note_read(&mut self, id: u32, bytes: usize, now: Instant) {
        let left = MOST_OF_CONNECTION.saturating_sub(self.extra);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.window = stream.window.saturating_add(bytes);
        let whole = STREAM_WINDOW as usize + stream.extra;
        let keeps_up = stream.held.len() <= whole / 4;
        if keeps_up && !stream.is_over && stream.comes_fast(whole, now) {
            let wanted = whole.saturating_mul(GROWTH).min(MOST_OF_STREAM);
            let more = take(wanted.saturating_sub(stream.extra).min(left));
            if more > 0 {
                stream.extra += more;
                self.extra += more;
                grant(&mut self.grants, id, more);
            }
        }
        self.release(id);
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
        let can_pass = |stream: &Stream| whole_at_front(&stream.held).is_some();
        is_between && (self.is_ready() || self.streams.values().any(can_pass))
    }

    /// What is to be sent before anything else of h2's; nothing in the middle of a frame.
    pub(super) fn grants(&mut self) -> Option<&mut BytesMut> {
        (self.outgoing.is_between() && !self.grants.is_empty()).then_some(&mut self.grants)
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        give_back(self.extra);
    }
}

/// The frame at the front, or the header block, if all of it is there: its first head, and the length of all.
fn whole_at_front(frames: &[u8]) -> Option<(Head, usize)> {
    let first = Head::of_whole(frames)?;
    let mut length = FRAME_HEAD + first.length;
    let mut last = first;
    while matches!(last.kind, HEADERS | CONTINUATION) && !last.ends_block() {
        last = Head::of_whole(frames.get(length..)?)?;
        length += FRAME_HEAD + last.length;
    }
    Some((first, length))
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

/// Appends a WINDOW_UPDATE (section 6.9).
fn grant(frames: &mut BytesMut, stream: u32, bytes: usize) {
    frames.put_slice(&[0, 0, 4, WINDOW_UPDATE, 0]);
    frames.put_u32(stream);
    // At most as much as one stream may be granted.
    frames.put_u32(u32::try_from(bytes).unwrap_or(STREAM_WINDOW));
}

/// What h2 says to the server that matters here.
#[derive(Clone, Copy, Debug)]
enum Said {
    /// So much of a stream was read.
    Read(u32, usize),
    /// A stream was reset.
    GivenUp(u32),
}

/// The frames that h2 sends.
struct Outgoing {
    /// Bytes to pass before the next head: the preface, or a payload.
    skip: usize,
    /// A head, and behind that of a WINDOW_UPDATE its payload.
    kept: BytesMut,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            kept: BytesMut::new(),
        }
    }
}

impl Outgoing {
    fn is_between(&self) -> bool {
        self.skip == 0 && self.kept.is_empty()
    }

    fn follow(&mut self, mut sent: &[u8], said: &mut Vec<Said>) {
        while !sent.is_empty() {
            let skipped = self.skip.min(sent.len());
            sent.advance(skipped);
            self.skip -= skipped;
            let wanted = match self.kept.first_chunk() {
                Some(&head) => FRAME_HEAD + kept_of(Head::read(head)),
                None => FRAME_HEAD,
            };
            let (more, rest) =
                sent.split_at(wanted.saturating_sub(self.kept.len()).min(sent.len()));
            self.kept.extend_from_slice(more);
            sent = rest;
            if let Some(&head) = self.kept.first_chunk() {
                self.look(Head::read(head), said);
            }
        }
    }

    /// Looks at a frame of which all is there that matters.
    fn look(&mut self, head: Head, said: &mut Vec<Said>) {
        let payload = self.kept.get(FRAME_HEAD..).unwrap_or(&[]);
        if payload.len() < kept_of(head) {
            return;
        }
        match head.kind {
            WINDOW_UPDATE if head.stream != 0 => {
                if let Some(&bytes) = payload.first_chunk() {
                    let bytes = u32::from_be_bytes(bytes) & 0x7fff_ffff;
                    said.push(Said::Read(head.stream, bytes as usize));
                }
            }
            RST_STREAM => said.push(Said::GivenUp(head.stream)),
            _ => {}
        }
        self.skip = head.length - payload.len();
        self.kept.clear();
    }
}

/// How much of a frame's payload is kept to be looked at.
fn kept_of(head: Head) -> usize {
    if head.kind == WINDOW_UPDATE {
        head.length.min(4)
    } else {
        0
    }
}

#[cfg(test)]
mod tests;

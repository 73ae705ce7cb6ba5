//! HTTP/2's frames, as far as windows have to know them (RFC 9113, sections 4 and 6).

use bytes::{Buf, BytesMut};

/// What opens the connection (section 3.4), and the head of a frame (section 4.1), in bytes.
const PREFACE: usize = 24;
pub(super) const FRAME_HEAD: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 32;

/// Payload of a RST_STREAM (section 6.4): INTERNAL_ERROR.
pub(super) const CUT: [u8; 4] = [0, 0, 0, 2];
/// Payload of a GOAWAY (section 6.8): every stream may have been worked on, NO_ERROR.
pub(super) const GOING_AWAY: [u8; 8] = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A field that HTTP/2 knows not (RFC 9113, section 8.2.2), for which it is the stream that ends, and no
/// connection; written out, without a table.
pub(super) const MALFORMED: &[u8] = b"\x00\x0aconnection\x01x";

/// The number of the last field that is in everybody's table (RFC 7541, appendix A).
const LAST_STATIC: usize = 61;

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn read(bytes: [u8; FRAME_HEAD]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        Self {
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    /// Without flags.
    pub(super) fn of(kind: u8, stream: u32, length: usize) -> Self {
        Self {
            length,
            kind,
            flags: 0,
            stream,
        }
    }

    pub(super) fn of_malformed(stream: u32) -> Self {
        Self {
            flags: END_STREAM | END_HEADERS,
            ..Self::of(HEADERS, stream, MALFORMED.len())
        }
    }

    pub(super) fn ack_of_ping() -> Self {
        Self {
            flags: ACK,
            ..Self::of(PING, 0, 8)
        }
    }

    /// The one at the front of `bytes`, if it is there with all of its frame.
    pub(super) fn of_whole(bytes: &[u8]) -> Option<Self> {
        let head = Self::read(*bytes.first_chunk()?);
        (bytes.len() >= FRAME_HEAD + head.length).then_some(head)
    }

    /// As it stands on the wire; of the length what fits there.
    pub(super) fn written(self) -> [u8; FRAME_HEAD] {
        let [.., high, middle, low] = self.length.to_be_bytes();
        let [a, b, c, d] = self.stream.to_be_bytes();
        [high, middle, low, self.kind, self.flags, a, b, c, d]
    }

    /// Appends a frame with this head.
    pub(super) fn put(self, frames: &mut BytesMut, payload: &[u8]) {
        frames.extend_from_slice(&self.written());
        frames.extend_from_slice(payload);
    }

    /// Whether this is DATA without any, and not its end.
    pub(super) fn says_nothing(self) -> bool {
        self.kind == DATA && self.length == 0 && self.flags & (END_STREAM | PADDED) == 0
    }

    pub(super) fn ends_stream(self) -> bool {
        self.kind == RST_STREAM
            || (matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0)
    }

    /// The data in the payload of a DATA frame (section 6.1); nothing if its padding is longer than that.
    pub(super) fn without_padding(self, payload: &[u8]) -> Option<&[u8]> {
        if self.flags & PADDED == 0 {
            return Some(payload);
        }
        let (&padding, rest) = payload.split_first()?;
        rest.get(..rest.len().checked_sub(usize::from(padding))?)
    }
}

/// Whether a header block means the same whatever blocks were read before it, and leaves no trace in those
/// after it: nothing in it comes from the table of earlier fields, goes there, or changes its size (RFC 7541,
/// section 6).
pub(super) fn stands_alone(block: &[u8]) -> bool {
    let mut rest = Some(block);
    while let Some(block) = rest.filter(|block| !block.is_empty()) {
        rest = after_field(block);
    }
    rest.is_some()
}

/// What comes behind a field that stands alone.
fn after_field(block: &[u8]) -> Option<&[u8]> {
    let is_indexed = block.first()? & 0x80 != 0;
    // Others are kept in the table, or set its size.
    if !is_indexed && block.first()? & 0x60 != 0 {
        return None;
    }
    let (index, mut rest) = integer(block, if is_indexed { 7 } else { 4 })?;
    if index > LAST_STATIC {
        return None;
    }
    let strings = match (is_indexed, index) {
        (true, _) => 0,
        (false, 0) => 2,
        (false, _) => 1,
    };
    for _ in 0..strings {
        let (length, string) = integer(rest, 7)?;
        rest = string.get(length..)?;
    }
    Some(rest)
}

/// A number that begins in the last `prefix` bits of a byte (RFC 7541, section 5.1), and what comes behind it;
/// nothing if it is far beyond what a frame holds.
fn integer(bytes: &[u8], prefix: u32) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let most = (1 << prefix) - 1;
    let mut number = usize::from(first) & most;
    if number < most {
        return Some((number, rest));
    }
    for shift in [0, 7, 14] {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        number += (usize::from(byte) & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

/// What h2 says to the server that matters here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// A request begins, on this stream, or its trailers do.
    Begun(u32),
    /// So much of a stream was read.
    Read(u32, usize),
    /// A stream was reset.
    GivenUp(u32),
    /// This is to be answered.
    Ping([u8; 8]),
}

/// The frames that h2 sends.
pub(super) struct Outgoing {
    /// Bytes to pass before the next head: the preface, or a payload.
    skip: usize,
    /// A head, and what matters of its payload, as far as it has come.
    kept: BytesMut,
    /// A header block goes on.
    is_in_block: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            kept: BytesMut::new(),
            is_in_block: false,
        }
    }
}

impl Outgoing {
    /// Whether another frame can be put here.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.kept.is_empty() && !self.is_in_block
    }

    /// Takes what h2 has sent, in its order.
    pub(super) fn follow(&mut self, mut sent: &[u8], said: &mut Vec<Said>) {
        while !sent.is_empty() {
            let skipped = self.skip.min(sent.len());
            sent.advance(skipped);
            self.skip -= skipped;
            let wanted = match self.kept.first_chunk() {
                Some(&head) => FRAME_HEAD + matters_of(Head::read(head)),
                None => FRAME_HEAD,
            };
            let missing = wanted.saturating_sub(self.kept.len());
            let (more, rest) = sent.split_at(missing.min(sent.len()));
            self.kept.extend_from_slice(more);
            sent = rest;
            if let Some(&head) = self.kept.first_chunk() {
                self.look(Head::read(head), said);
            }
        }
    }

    /// Looks at a frame, once all is there that matters.
    fn look(&mut self, head: Head, said: &mut Vec<Said>) {
        let payload = self.kept.get(FRAME_HEAD..).unwrap_or(&[]);
        if payload.len() < matters_of(head) {
            return;
        }
        match head.kind {
            WINDOW_UPDATE if head.stream != 0 => {
                if let Some(&bytes) = payload.first_chunk() {
                    let bytes = u32::from_be_bytes(bytes) & 0x7fff_ffff;
                    said.push(Said::Read(head.stream, bytes as usize));
                }
            }
            PING if head.flags & ACK == 0 => {
                said.extend(payload.first_chunk().copied().map(Said::Ping));
            }
            RST_STREAM => said.push(Said::GivenUp(head.stream)),
            HEADERS => said.push(Said::Begun(head.stream)),
            _ => {}
        }
        if matches!(head.kind, HEADERS | CONTINUATION) {
            self.is_in_block = head.flags & END_HEADERS == 0;
        }
        self.skip = head.length - payload.len();
        self.kept.clear();
    }
}

/// How much of a frame's payload matters.
fn matters_of(head: Head) -> usize {
    match head.kind {
        WINDOW_UPDATE => head.length.min(4),
        PING => head.length.min(8),
        _ => 0,
    }
}

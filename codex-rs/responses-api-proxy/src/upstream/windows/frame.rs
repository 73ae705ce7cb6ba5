//! HTTP/2's frames, as far as windows have to know them (RFC 9113, sections 4 and 6).

use bytes::{Buf, BytesMut};

/// What opens the connection (section 3.4), and the head of a frame (section 4.1), in bytes.
const PREFACE: usize = 24;
pub(super) const FRAME_HEAD: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

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

    /// As it stands on the wire; of the length what fits there.
    pub(super) fn written(self) -> [u8; FRAME_HEAD] {
        let [.., high, middle, low] = self.length.to_be_bytes();
        let [a, b, c, d] = self.stream.to_be_bytes();
        [high, middle, low, self.kind, self.flags, a, b, c, d]
    }

    /// The one at the front of `bytes`, if it is there with all of its frame.
    pub(super) fn of_whole(bytes: &[u8]) -> Option<Self> {
        let head = Self::read(*bytes.first_chunk()?);
        (bytes.len() >= FRAME_HEAD + head.length).then_some(head)
    }

    pub(super) fn ends_stream(self) -> bool {
        self.kind == RST_STREAM
            || (matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0)
    }

    pub(super) fn ends_block(self) -> bool {
        self.flags & END_HEADERS != 0
    }
}

/// Appends a WINDOW_UPDATE (section 6.9), for a stream or with 0 for the connection.
pub(super) fn put_window_update(frames: &mut BytesMut, stream: u32, bytes: u32) {
    let head = Head {
        length: 4,
        kind: WINDOW_UPDATE,
        flags: 0,
        stream,
    };
    frames.extend_from_slice(&head.written());
    frames.extend_from_slice(&bytes.to_be_bytes());
}

/// What h2 says to the server that matters here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// A request begins, on this stream.
    Begun(u32),
    /// So much of a stream was read.
    Read(u32, usize),
    /// A stream was reset.
    GivenUp(u32),
}

/// The frames that h2 sends.
pub(super) struct Outgoing {
    /// Bytes to pass before the next head: the preface, or a payload.
    skip: usize,
    /// A head, and behind that of a WINDOW_UPDATE its payload.
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
                Some(&head) => FRAME_HEAD + kept_of(Head::read(head)),
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
            // Of a request whose body is trailed by another block the first one counts.
            HEADERS => said.push(Said::Begun(head.stream)),
            _ => {}
        }
        if matches!(head.kind, HEADERS | CONTINUATION) {
            self.is_in_block = !head.ends_block();
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

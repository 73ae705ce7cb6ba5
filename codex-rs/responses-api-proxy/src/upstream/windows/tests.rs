//! A connection of h2, its windows, and a server, all of it in bytes.

mod any_order;
mod ends;
mod frames;
mod grants;

use super::*;

use std::time::Duration;

use super::budget::Grant;
use super::stream::{MAX_UNREAD_FRAMES, READ};

/// What is granted to somebody else.
const OTHER: usize = 64 * 1024;

const ACK: u8 = 1;
const PING: u8 = 6;
const WINDOW: usize = STREAM_WINDOW as usize;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let head = Head {
        flags,
        ..Head::of(kind, stream, payload.len())
    };
    head.put(&mut frame, payload);
    frame.to_vec()
}

/// `:status: 200` of everybody's table.
fn head(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &[0x88])
}

fn data(stream: u32, length: usize) -> Vec<u8> {
    // No two neighbours are alike.
    let payload: Vec<u8> = (0..251_u8).cycle().take(length).collect();
    frame(DATA, 0, stream, &payload)
}

fn padded(stream: u32, length: usize, padding: u8) -> Vec<u8> {
    let padding_bytes = vec![0; usize::from(padding)];
    let payload = [&[padding][..], &vec![b'x'; length], &padding_bytes].concat();
    frame(DATA, PADDED, stream, &payload)
}

/// Trailers that stand alone: a field written out.
fn trailers(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\0\x01a\x01b")
}

fn update(stream: u32, bytes: usize) -> Vec<u8> {
    let bytes = u32::try_from(bytes).unwrap();
    frame(frame::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// What h2 knows of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Got {
    data: Vec<u8>,
    /// With padding.
    counted: usize,
    ends: Vec<(u8, Vec<u8>)>,
}

/// Both directions of a connection, as its two ends see them.
struct Wire {
    windows: Windows,
    budget: &'static Budget,
    /// Somebody else's.
    other: Option<Grant>,
    received: Vec<u8>,
    /// Of the server's, by stream, in our own frames.
    updates: Vec<(u32, usize)>,
}

impl Wire {
    /// One that is not alone: something is granted to another connection.
    fn new() -> Self {
        let budget: &'static Budget = Box::leak(Box::new(Budget::new()));
        let mut other = budget.nothing();
        assert_eq!(other.grow(OTHER), OTHER);
        Self {
            other: Some(other),
            ..Self::within(budget)
        }
    }

    /// How much is accounted for.
    fn accounted(&self) -> usize {
        self.budget.granted() - self.other.as_ref().map_or(0, Grant::bytes)
    }

    fn within(budget: &'static Budget) -> Self {
        let mut wire = Self {
            windows: Windows::within(budget),
            budget,
            other: None,
            received: Vec::new(),
            updates: Vec::new(),
        };
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        wire
    }

    /// Requests are sent on these streams, and the heads of their answers come.
    fn begun(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut wire = Self::new();
        for id in ids {
            wire.begin(id);
        }
        wire
    }

    fn begin(&mut self, id: u32) {
        self.send(&frame(HEADERS, END_HEADERS, id, b"request"));
        self.receive(&head(id));
    }

    /// The server sends this, and it comes in pieces of `size`, for which h2 has room by `room`.
    fn receive_in(&mut self, bytes: &[u8], size: usize, room: usize) {
        for piece in bytes.chunks(size) {
            let passed = self.windows.take(piece);
            self.received.extend(&piece[..passed]);
            self.hand_over(room);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive_in(bytes, usize::MAX, 16_384);
    }

    fn hand_over(&mut self, room: usize) {
        loop {
            let mut space = vec![0; room];
            let mut buf = ReadBuf::new(&mut space);
            if !self.windows.hand_over(&mut buf) {
                return;
            }
            self.received.extend(buf.filled());
        }
    }

    /// h2 sends this.
    fn send(&mut self, bytes: &[u8]) {
        self.windows.follow(bytes);
        self.hand_over(16_384);
        if let Some(updates) = self.windows.updates() {
            for update in updates.split().chunks(FRAME_HEAD + 4) {
                let head = Head::read(*update.first_chunk().unwrap());
                let bytes = u32::from_be_bytes(update[FRAME_HEAD..].try_into().unwrap());
                assert_eq!((head.kind, head.length), (frame::WINDOW_UPDATE, 4));
                self.updates.push((head.stream, bytes as usize));
            }
        }
    }

    /// What was granted to a stream, or with 0 made up for on the connection.
    fn granted(&self, id: u32) -> usize {
        let of_stream = self.updates.iter().filter(|(stream, _)| *stream == id);
        of_stream.map(|(_, bytes)| bytes).sum()
    }

    /// What has come to h2: whole frames, and header blocks in one piece.
    fn frames(&self) -> Vec<(Head, &[u8])> {
        let (mut rest, mut frames, mut block) = (&self.received[..], Vec::new(), None);
        while !rest.is_empty() {
            let head = Head::of_whole(rest).expect("a whole frame");
            assert!(block.is_none_or(|id| (CONTINUATION, id) == (head.kind, head.stream)));
            if matches!(head.kind, HEADERS | CONTINUATION) {
                block = (head.flags & END_HEADERS == 0).then_some(head.stream);
            }
            frames.push((head, &rest[FRAME_HEAD..FRAME_HEAD + head.length]));
            rest = &rest[FRAME_HEAD + head.length..];
        }
        frames
    }

    /// What has come to h2 of a stream.
    fn got(&self, id: u32) -> Got {
        let mut got = Got::default();
        for (head, payload) in self.frames() {
            let is_of_end = matches!(head.kind, DATA | RST_STREAM) || head.ends_stream();
            if head.stream != id || !is_of_end {
                continue;
            }
            if head.kind == DATA {
                assert_eq!(got.ends, [], "data came behind the end");
                got.data.extend(head.without_padding(payload).unwrap());
                got.counted += head.length;
            }
            if head.kind != DATA {
                got.ends.push((head.kind, payload.to_vec()));
            } else if head.flags & END_STREAM != 0 {
                got.ends.push((DATA, Vec::new()));
            }
        }
        got
    }

    /// So much of a stream comes, each 16,000 bytes of it read at once.
    fn read(&mut self, id: u32, pieces: usize) {
        for _ in 0..pieces {
            self.receive(&data(id, 16_000));
            self.send(&update(id, 16_000));
        }
    }

    /// A stream that was read fast, and with all of its window granted comes on unread; so much is held.
    fn holding(id: u32, pieces: usize) -> Self {
        let mut wire = Self::begun([id]);
        wire.read(id, 3);
        assert_eq!(wire.granted(id), MOST_OF_STREAM);
        let size = WINDOW;
        for _ in 0..4 {
            wire.receive(&data(id, size / 4));
        }
        for _ in 0..pieces {
            wire.receive(&data(id, 16_000));
        }
        assert!(wire.windows.holds_back());
        wire
    }
}

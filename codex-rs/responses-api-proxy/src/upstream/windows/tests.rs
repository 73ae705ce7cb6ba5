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

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_as_fast_as_it_comes_gets_more_at_once_however_far_away() {
    for (pause, is_fast) in [(0, true), (100, true), (150, false), (1000, false)] {
        let mut wire = Wire::begun([1]);
        // It takes as long to come; where that was goes back is another matter.
        tokio::time::advance(Duration::from_secs(2)).await;
        for _ in 0..3 {
            wire.receive(&data(1, 16_000));
            tokio::time::advance(Duration::from_millis(pause)).await;
            wire.send(&update(1, 16_000));
        }
        let expected = if is_fast { MOST_OF_STREAM } else { 0 };
        assert_eq!(wire.granted(1), expected, "{pause} ms each");
        wire.read(1, 1000);
        assert_eq!(wire.granted(1), MOST_OF_STREAM);
        assert_eq!(wire.got(1).data.len(), 1003 * 16_000);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_and_read_slowly_is_not_fast_whenever_it_came() {
    let mut wire = Wire::holding(1, 100);
    wire.begin(3);
    let before = wire.accounted();
    for _ in 0..50 {
        tokio::time::advance(Duration::from_millis(500)).await;
        wire.send(&update(1, 32_000));
    }
    assert!(!wire.windows.streams[&1].is_fast);
    assert_eq!(wire.accounted(), before);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_gets_nothing() {
    let mut wire = Wire::begun([1]);
    for _ in 0..4 {
        wire.receive(&data(1, WINDOW / 4));
    }
    // A little of it is.
    wire.send(&update(1, READ - 1));
    assert_eq!((wire.updates.len(), wire.accounted()), (0, 0));
}

/// By guess, which spares a round trip.
#[tokio::test(start_paused = true)]
async fn one_that_is_alone_or_like_one_before_has_it_from_the_beginning() {
    let mut wire = Wire::new();
    wire.other = None;
    wire.begin(1);
    wire.begin(3);
    assert_eq!((wire.granted(1), wire.granted(3)), (MOST_OF_STREAM, 0));
    // 1 MB, and a little more.
    wire.receive(&frame(DATA, END_STREAM, 3, b"x"));
    wire.read(1, 64);
    wire.receive(&frame(DATA, END_STREAM, 1, b""));
    let guess = 64 * 16_000 / 8 * 9;
    for id in [5, 7, 9] {
        wire.begin(id);
        assert_eq!(wire.granted(id), guess);
    }
    // Less and less, where that was of no use.
    wire.receive(&frame(RST_STREAM, 0, 5, &[0; 4]));
    wire.begin(11);
    assert_eq!(wire.granted(11), guess / 2);
    for id in (13..33).step_by(2) {
        wire.receive(&frame(RST_STREAM, 0, id - 2, &[0; 4]));
        wire.begin(id);
    }
    assert_eq!(wire.granted(31), 0);
}

/// A guess takes no more than half of what there is.
#[tokio::test(start_paused = true)]
async fn where_little_is_left_only_whoever_reads_gets_some() {
    let mut wire = Wire::begun([1]);
    wire.read(1, 300);
    wire.receive(&frame(DATA, END_STREAM, 1, b""));
    let mut others: Vec<_> = (0..3).map(|_| wire.budget.nothing()).collect();
    for other in &mut others {
        assert!(other.grow(MOST_OF_STREAM) > 0);
    }
    wire.begin(3);
    assert_eq!(wire.granted(3), 0);
    wire.read(3, 3);
    assert!(wire.granted(3) > 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_get_about_the_same() {
    let ids = || (1..40).step_by(2);
    let mut wire = Wire::begun(ids());
    for _ in 0..3 {
        for id in ids() {
            wire.read(id, 1);
        }
    }
    for id in ids() {
        let granted = wire.granted(id);
        assert!(granted > MOST_OF_CONNECTION / 25, "{granted} to {id}");
    }
    assert!(wire.accounted() <= MOST_OF_CONNECTION);
}

#[tokio::test(start_paused = true)]
async fn all_together_get_no_more_than_there_is_and_nobody_takes_the_last() {
    const MIB: usize = 1024 * 1024;
    let budget: &'static Budget = Box::leak(Box::new(Budget::new()));
    let mut wires: Vec<Wire> = (0..9).map(|_| Wire::within(budget)).collect();
    let mut each = Vec::new();
    for wire in &mut wires {
        for id in (1..9).step_by(2) {
            wire.begin(id);
            wire.read(id, 12);
        }
        assert!((MOST_OF_CONNECTION - wire.windows.left()) <= MOST_OF_CONNECTION);
        each.push(wire.granted(1) / MIB);
    }
    assert!(each[0] == 8 && each[2] >= 1, "{each:?}");
    assert!(budget.granted() <= 32 * MIB && budget.granted() > 31 * MIB);
    // One that got nothing is served as always.
    assert_eq!((each[8], wires[8].got(1).data.len()), (0, 12 * 16_000));
    // Whatever becomes of a connection, it goes back.
    let mut broken = wires.pop().unwrap();
    std::thread::spawn(move || {
        broken.receive(&head(1));
        std::panic::resume_unwind(Box::new(()));
    })
    .join()
    .unwrap_err();
    drop(wires);
    assert_eq!(budget.granted(), 0);
}

#[test]
fn what_is_beyond_h2_s_window_waits_and_all_else_passes() {
    let mut wire = Wire::holding(1, 10);
    let before = wire.got(1);
    assert_eq!(before.counted, 48_000 + WINDOW);
    wire.begin(3);
    let others = [
        data(3, 10),
        frame(PING, 0, 0, &[7; 8]),
        frame(4, 0, 0, &[]),
        frame(4, ACK, 0, &[]),
        // For the request's body.
        update(1, 5),
        frame(2, 0, 1, &[0; 5]),
        frame(77, 0, 1, b"unknown"),
    ];
    let all = others.concat();
    wire.receive(&all);
    assert!(wire.received.ends_with(&all));
    // As much as is read, to the byte.
    wire.send(&update(1, 7));
    assert_eq!(wire.got(1).counted, before.counted + 7);
    wire.send(&update(1, 200_000));
    assert_eq!(wire.got(1).counted, 48_000 + WINDOW - WINDOW % 4 + 160_000);
    assert!(!wire.windows.holds_back());
}

#[test]
fn what_ends_a_stream_comes_behind_what_is_held() {
    type Case<'a> = (&'a [Vec<u8>], &'a [(u8, usize)]);
    let ends: [Case<'_>; 5] = [
        (&[frame(DATA, END_STREAM, 1, b"xyz")], &[(DATA, 0)]),
        (&[frame(DATA, END_STREAM, 1, b"")], &[(DATA, 0)]),
        (&[trailers(1)], &[(HEADERS, 5)]),
        (&[frame(RST_STREAM, 0, 1, &[0; 4])], &[(RST_STREAM, 4)]),
        // An answer that is whole, whose server wants no more of the request.
        (
            &[trailers(1), frame(RST_STREAM, 0, 1, &[0; 4])],
            &[(HEADERS, 5), (RST_STREAM, 4)],
        ),
    ];
    for (frames, expected) in ends {
        let mut wire = Wire::holding(1, 10);
        for frame in frames {
            wire.receive(frame);
        }
        assert_eq!(wire.got(1).ends, []);
        // Only what waits is still accounted for.
        assert!(wire.accounted() < 170_000);
        wire.send(&update(1, 150_000));
        assert_eq!(wire.got(1).ends, []);
        wire.send(&update(1, 50_000));
        let ends = wire.got(1).ends;
        let ends: Vec<_> = ends.iter().map(|(kind, of)| (*kind, of.len())).collect();
        assert_eq!(ends, expected);
        assert!(wire.windows.streams.is_empty());
        assert_eq!(wire.accounted(), 0);
    }
}

#[test]
fn trailers_wait_only_if_they_stand_alone() {
    let blocks: [(&[u8], bool); 12] = [
        (b"", true),
        (b"\x88", true),
        (b"\0\x01a\x01b\x10\x01a\x01b", true),
        // A name of everybody's table, number 58.
        (b"\x0f\x2b\x01b", true),
        // Huffman.
        (b"\0\x81\x1f\x81\x1f", true),
        // Kept; changes the size; from the table, 62, and a name from there.
        (b"\x40\x01a\x01b", false),
        (b"\x20", false),
        (b"\xbe", false),
        (b"\x0f\x2f\x01b", false),
        // Cut off.
        (b"\0\x01a\x05b", false),
        (b"\x0f", false),
        (b"\x7f\xff\xff\xff\xff\xff", false),
    ];
    for (block, is_alone) in blocks {
        assert_eq!(stands_alone(block), is_alone, "{block:?}");
        let mut wire = Wire::holding(1, 10);
        let end = frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
        wire.receive(&end);
        let has_passed = wire.received.ends_with(&end);
        assert_eq!(has_passed, !is_alone, "{block:?}");
    }
}

/// Whatever may not wait passes in its order, behind something for which h2 ends the stream.
#[test]
fn a_stream_that_breaks_the_rules_is_left_to_h2() {
    let whole = frame(DATA, END_STREAM, 1, b"xyz");
    let broken: [&[Vec<u8>]; 9] = [
        // A head, in pieces, with padding, with a priority.
        &[frame(HEADERS, END_HEADERS, 1, b"\x88")],
        &[frame(HEADERS, END_STREAM, 1, b"\x88")],
        &[frame(
            HEADERS,
            END_STREAM | END_HEADERS | PADDED,
            1,
            b"\0\x88",
        )],
        &[frame(
            HEADERS,
            END_STREAM | END_HEADERS | PRIORITY,
            1,
            b"\0\0\0\0\0\x88",
        )],
        // More padding than there is.
        &[frame(DATA, PADDED, 1, b"\x03xx")],
        &[frame(DATA, PADDED, 1, b"")],
        // Behind the end.
        &[whole.clone(), data(1, 1)],
        &[whole.clone(), trailers(1)],
        &[trailers(1), trailers(1)],
    ];
    for frames in broken {
        let mut wire = Wire::holding(1, 10);
        let held = wire.windows.streams[&1].held.len();
        let mut last = Vec::new();
        for frame in frames {
            wire.receive(frame);
            last = frame.clone();
        }
        let mut malformed = BytesMut::new();
        Head::of_malformed(1).put(&mut malformed, frame::MALFORMED);
        let end = [&malformed[..], &last].concat();
        assert!(wire.received.ends_with(&end), "{frames:?}");
        assert!(wire.windows.streams.is_empty() && wire.accounted() == 0);
        // The connection loses nothing of its window.
        wire.send(&frame(PING, ACK, 0, &[0; 8]));
        let dropped = if frames[0] == whole { held + 3 } else { held };
        assert_eq!(wire.granted(0), dropped);
    }
}

#[test]
fn an_answer_in_too_many_unread_frames_is_left_to_h2() {
    let mut wire = Wire::begun([1]);
    let most = data(1, 7).repeat(MAX_UNREAD_FRAMES);
    wire.receive(&most);
    assert_eq!(wire.got(1).data.len(), 7 * MAX_UNREAD_FRAMES);
    // Read on, it may have as many again.
    wire.send(&update(1, 7 * MAX_UNREAD_FRAMES));
    wire.receive(&most);
    assert_eq!(wire.got(1).data.len(), 14 * MAX_UNREAD_FRAMES);
    wire.receive(&data(1, 7));
    let mut malformed = BytesMut::new();
    Head::of_malformed(1).put(&mut malformed, frame::MALFORMED);
    let end = [&malformed[..], &data(1, 7)].concat();
    assert!(wire.received.ends_with(&end));
    assert!(wire.windows.streams.is_empty() && wire.accounted() == 0);
}

#[test]
fn a_window_that_is_full_of_the_smallest_events_is_not_too_many_frames() {
    let mut wire = Wire::begun([1]);
    wire.receive(&data(1, 8).repeat(WINDOW / 8));
    assert_eq!(wire.got(1).data.len(), WINDOW / 8 * 8);
    // What comes beyond the window is held in one piece.
    assert!(wire.windows.streams.contains_key(&1));
}

#[test]
fn no_more_is_held_than_was_granted() {
    for piece in [data(1, 16_000), data(1, 1), padded(1, 7, 200)] {
        let mut wire = Wire::holding(1, 1);
        let length = piece.len() - FRAME_HEAD;
        let mut sum = wire.windows.streams[&1].held.len();
        let many = piece.repeat(1000);
        while wire.windows.streams.contains_key(&1) {
            wire.receive(&many);
            let held = wire.windows.streams.get(&1).map_or(0, |one| one.held.len());
            assert!(held <= MOST_OF_STREAM);
            sum += 1000 * length;
            assert!(sum < MOST_OF_STREAM + 1001 * 16_000);
        }
        assert!(sum > MOST_OF_STREAM - 16_000);
        assert_eq!(wire.accounted(), 0);
    }
    // Without a grant the first frame beyond the window goes to h2 as it is.
    let mut wire = Wire::begun([1]);
    for _ in 0..6 {
        wire.receive(&data(1, 16_000));
    }
    assert_eq!(wire.got_of_violation(), 6 * 16_000);
}

impl Wire {
    /// How much data has passed, what h2 thinks of it aside.
    fn got_of_violation(&self) -> usize {
        let data = self.frames().into_iter();
        let data = data.filter(|(head, _)| head.kind == DATA);
        data.map(|(head, _)| head.length).sum()
    }
}

#[test]
fn what_was_given_up_gives_back_what_it_was_granted() {
    let mut wire = Wire::holding(1, 10);
    let held = wire.windows.streams[&1].held.len();
    let last = data(1, 16_000);
    // In the middle of a frame.
    wire.receive(&last[..1000]);
    wire.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    assert_eq!((wire.accounted(), wire.granted(0)), (0, held));
    // h2 gets what comes later, and knows what to do with it.
    wire.receive(&last[1000..]);
    assert!(wire.received.ends_with(&last));
    assert!(wire.windows.streams.is_empty());
}

/// The server's window is smaller by padding that h2 never sees.
#[test]
fn padding_is_made_up_for() {
    let mut wire = Wire::holding(1, 1);
    let (before, held) = (wire.got(1).data.len(), wire.windows.streams[&1].held.len());
    for _ in 0..10 {
        wire.receive(&padded(1, 1000, 99));
    }
    assert_eq!((wire.granted(0), wire.granted(1)), (0, MOST_OF_STREAM));
    wire.send(&update(1, 30_000));
    assert_eq!(wire.got(1).data.len(), before + held + 10_000);
    let padding = (wire.granted(0), wire.granted(1) - MOST_OF_STREAM);
    assert_eq!(padding, (1000, 1000));
    // Where it passes, h2 sees it, and makes up for it itself.
    wire.receive(&padded(1, 1000, 99));
    wire.send(&update(1, 2000));
    assert_eq!(wire.granted(0), 1000);
}

#[test]
fn empty_frames_are_dropped_and_ends_are_not() {
    for mut wire in [Wire::begun([1]), Wire::holding(1, 1)] {
        let before = wire.received.len();
        for _ in 0..1000 {
            wire.receive(&data(1, 0));
        }
        assert_eq!(wire.received.len(), before);
        wire.receive(&frame(DATA, END_STREAM, 1, b""));
        wire.send(&update(1, 30_000));
        assert_eq!(wire.got(1).ends, [(DATA, Vec::new())]);
    }
}

#[test]
fn frames_that_are_too_long_are_h2_s_affair() {
    let mut wire = Wire::begun([1]);
    let begun = wire.received.len();
    let long = [data(1, MAX_FRAME + 1), b"whatever".to_vec()].concat();
    wire.receive_in(&long, 100, 30);
    assert_eq!(&wire.received[begun..], long);
}

#[test]
fn a_header_block_is_not_interrupted() {
    let mut wire = Wire::holding(1, 10);
    wire.begin(3);
    let block = [
        frame(HEADERS, 0, 3, b"\x88"),
        frame(CONTINUATION, 0, 3, b""),
        frame(CONTINUATION, END_HEADERS, 3, b"\x88"),
    ];
    for part in &block {
        // Something is ready that was held, and waits.
        wire.receive(part);
        wire.send(&update(1, 1000));
    }
    assert_eq!(wire.got(1).counted, 48_000 + WINDOW + 3000);
}

#[test]
fn when_the_connection_ends_what_is_held_is_still_read_and_others_know() {
    let mut wire = Wire::holding(1, 10);
    wire.begin(3);
    wire.receive(&data(3, 10));
    // Whole, and not.
    wire.receive(&frame(DATA, END_STREAM, 1, b"end"));
    wire.receive(&data(3, 1000)[..500]);
    wire.windows.end();
    wire.hand_over(100);
    let frames = wire.frames();
    let end: Vec<(u8, u32)> = frames[frames.len() - 2..]
        .iter()
        .map(|(head, _)| (head.kind, head.stream))
        .collect();
    assert_eq!(end, [(GOAWAY, 0), (RST_STREAM, 3)]);
    // h2 asks whether the server lives.
    wire.send(&frame(PING, 0, 0, b"12345678"));
    assert!(wire.received.ends_with(&frame(PING, ACK, 0, b"12345678")));
    assert!(wire.windows.holds_back());
    wire.send(&update(1, 200_000));
    assert!(!wire.windows.holds_back());
    let got = wire.got(1);
    assert_eq!(got.ends, [(DATA, Vec::new())]);
    assert!(got.data.ends_with(b"end"));
}

#[test]
fn an_answer_that_is_cut_ends_behind_what_came_of_it() {
    let mut wire = Wire::holding(1, 10);
    let held = wire.windows.streams[&1].held.len();
    let before = wire.got(1).counted;
    wire.windows.end();
    wire.send(&update(1, 200_000));
    let got = wire.got(1);
    assert_eq!(got.counted, before + held);
    assert_eq!(got.ends, [(RST_STREAM, frame::CUT.to_vec())]);
    // Where nothing is held, what came of a frame passes as it is.
    let mut wire = Wire::begun([1]);
    let part = &data(1, 1000)[..500];
    wire.receive(part);
    wire.windows.end();
    wire.hand_over(100);
    assert!(wire.received.ends_with(part) && !wire.windows.holds_back());
}

#[test]
fn frames_of_h2_are_followed_however_they_are_cut() {
    for size in [1, 5, 1000] {
        let mut wire = Wire::begun([1]);
        for _ in 0..3 {
            wire.receive(&data(1, 16_000));
        }
        let sent = [
            frame(HEADERS, 0, 3, b"request"),
            frame(CONTINUATION, END_HEADERS, 3, b"goes on"),
            data(3, 3000),
            update(0, 9),
            update(1, 48_000),
            frame(PING, 0, 0, &[0; 8]),
            // Between these nothing may come.
            frame(HEADERS, 0, 5, b"request"),
        ];
        for piece in sent.concat().chunks(size) {
            wire.send(piece);
        }
        let granted_before = wire.updates.len();
        wire.send(&frame(CONTINUATION, END_HEADERS, 5, b""));
        assert_eq!(wire.updates.len(), 1, "in pieces of {size}");
        assert!(size < 1000 || granted_before == 0);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Whatever comes in whatever pieces, and whenever callers read: of each stream h2 gets the same in the
    /// same order, and never more than its windows; what is accounted for is what there is.
    #[test]
    fn nothing_is_lost_or_doubled_and_h2_s_windows_are_kept(
        steps in proptest::collection::vec(
            (0_u8..14, 0_usize..4, 0_usize..16_384, 1_usize..3_000), 1..80),
        room in 1_usize..20_000,
    ) {
        let id = |which: usize| u32::try_from(2 * which + 1).unwrap();
        let mut wire = Wire::begun((0..4).map(id));
        let mut sent = vec![Got::default(); 4];
        let (mut read, mut is_over, mut given_up) = ([0; 4], [false; 4], [false; 4]);
        // What the server may send of each, and has sent on the connection.
        let (mut used, mut raw) = ([0; 4], 0);
        for (step, which, length, size) in steps {
            let allowed = WINDOW + read[which] + wire.granted(id(which)) - used[which];
            let length = length.min(allowed);
            let (fresh, got) = match step {
                0..=5 if !is_over[which] => {
                    (data(id(which), length), Got { data: data(id(which), length)[FRAME_HEAD..].to_vec(), counted: length, ends: vec![] })
                }
                6 if !is_over[which] && length > 300 => {
                    let padding = u8::try_from(length % 256).unwrap();
                    let rest = length - 1 - usize::from(padding);
                    (padded(id(which), rest, padding), Got { data: vec![b'x'; rest], counted: length, ends: vec![] })
                }
                7 if !is_over[which] && size < 1_000 => {
                    is_over[which] = true;
                    let (end, kind, payload) = match length % 3 {
                        0 => (trailers(id(which)), HEADERS, b"\0\x01a\x01b".to_vec()),
                        1 => (frame(RST_STREAM, 0, id(which), &[0; 4]), RST_STREAM, vec![0; 4]),
                        _ => (frame(DATA, END_STREAM, id(which), b""), DATA, vec![]),
                    };
                    (end, Got { ends: vec![(kind, payload)], ..Got::default() })
                }
                8 => (frame(PING, 0, 0, &[0; 8]), Got::default()),
                9 if !is_over[which] && !given_up[which] && size < 500 => {
                    wire.send(&frame(RST_STREAM, 0, id(which), &[0, 0, 0, 8]));
                    (is_over[which], given_up[which]) = (true, true);
                    continue;
                }
                _ => {
                    // Somebody reads all there is; h2 makes up for padding itself.
                    let fresh = wire.got(id(which)).counted - read[which];
                    read[which] += fresh;
                    if fresh > 0 && !given_up[which] {
                        wire.send(&update(id(which), fresh));
                    }
                    continue;
                }
            };
            used[which] += got.counted;
            raw += got.counted;
            sent[which].data.extend(&got.data);
            sent[which].ends.extend(got.ends);
            wire.receive_in(&fresh, size, room);
            for (which, read) in read.iter().enumerate() {
                let unread = wire.got(id(which)).counted - read;
                assert!(given_up[which] || unread <= WINDOW, "beyond h2's window");
            }
            assert_eq!((MOST_OF_CONNECTION - wire.windows.left()), wire.accounted());
        }
        for _ in 0..200 {
            for (which, read) in read.iter_mut().enumerate() {
                let fresh = wire.got(id(which)).counted - *read;
                *read += fresh;
                if fresh > 0 {
                    wire.send(&update(id(which), fresh));
                }
            }
        }
        let mut counted = 0;
        for which in 0..4 {
            let got = wire.got(id(which));
            counted += got.counted;
            if !given_up[which] {
                assert_eq!((&got.data, &got.ends), (&sent[which].data, &sent[which].ends));
            }
        }
        // The connection's window is what it was: h2 gives back what it saw, and we the rest.
        assert_eq!(counted + wire.granted(0), raw);
        assert!(!wire.windows.holds_back());
    }

    /// Whatever comes, nothing panics, and as many bytes are kept as may be.
    #[test]
    fn anything_can_come(
        noise in proptest::collection::vec((0_u8..12, 0_u8..64, 0_u32..6, proptest::collection::vec(0_u8..255, 0..40)), 0..200),
        size in 1_usize..200,
    ) {
        let mut wire = Wire::holding(1, 4);
        wire.begin(3);
        for (kind, flags, stream, payload) in noise {
            wire.receive_in(&frame(kind, flags, stream, &payload), size, 50);
            wire.send(&frame(kind, flags, stream, &payload));
        }
        assert!(wire.windows.incoming.len() < 2 * MAX_FRAME + FRAME_HEAD);
        assert_eq!((MOST_OF_CONNECTION - wire.windows.left()), wire.accounted());
    }
}

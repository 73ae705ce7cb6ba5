use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::frame::{END_HEADERS, RST_STREAM, WINDOW_UPDATE};
use super::*;

/// What all connections may be granted together is shared by tests, too.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let [a, b, c, d] = stream.to_be_bytes();
    [&[high, middle, low, kind, flags, a, b, c, d][..], payload].concat()
}

fn head(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, b"head")
}

fn data(stream: u32, length: usize) -> Vec<u8> {
    frame(DATA, 0, stream, &vec![b'x'; length])
}

fn update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// Both directions of a connection, as its two ends see them.
struct Wire {
    windows: Windows,
    received: Vec<u8>,
    /// Of the server's, by stream, granted by us.
    granted: Vec<(u32, u32)>,
    now: Instant,
}

impl Wire {
    fn new() -> Self {
        let mut windows = Windows::default();
        let now = Instant::now();
        windows.follow(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
        Self {
            windows,
            received: Vec::new(),
            granted: Vec::new(),
            now,
        }
    }

    /// The server sends this, and it comes in pieces of `size`.
    fn receive_in(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            let mut fresh = [self.windows.unfinished_head(), piece].concat();
            let passed = self.windows.sort(&mut fresh, self.now);
            self.received.extend(&fresh[..passed]);
            self.take_ready();
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive_in(bytes, usize::MAX);
    }

    fn take_ready(&mut self) {
        while let Some(ready) = self.windows.take_ready(1000) {
            self.received.extend(&ready);
        }
    }

    /// h2 sends this.
    fn send(&mut self, bytes: &[u8]) {
        self.windows.follow(bytes, self.now);
        self.take_ready();
        if let Some(grants) = self.windows.grants() {
            for grant in grants.split().chunks(FRAME_HEAD + 4) {
                let head = Head::read(*grant.first_chunk().unwrap());
                let bytes = u32::from_be_bytes(grant[FRAME_HEAD..].try_into().unwrap());
                assert_eq!((head.kind, head.length), (WINDOW_UPDATE, 4));
                self.granted.push((head.stream, bytes));
            }
        }
    }

    /// What h2 got of the data of a stream, the last frame apart if it is not whole.
    fn got_so_far(&self, id: u32) -> usize {
        let (mut rest, mut sum) = (&self.received[..], 0);
        while let Some(head) = Head::of_whole(rest) {
            sum += if (head.kind, head.stream) == (DATA, id) {
                head.length
            } else {
                0
            };
            rest = &rest[FRAME_HEAD + head.length..];
        }
        sum
    }

    /// What h2 got of the data of a stream, and whether that ended; everything is whole frames.
    fn got(&self, id: u32) -> (usize, bool) {
        let (mut rest, mut sum, mut has_ended) = (&self.received[..], 0, false);
        while !rest.is_empty() {
            let head = Head::of_whole(rest).unwrap();
            if head.stream == id {
                let is_of_head = head.kind == CONTINUATION;
                assert!(!has_ended || is_of_head, "something came behind the end");
                sum += if head.kind == DATA { head.length } else { 0 };
                has_ended |= head.ends_stream();
            }
            rest = &rest[FRAME_HEAD + head.length..];
        }
        (sum, has_ended)
    }
}

/// A stream whose server has used up its window and whose caller has read it all.
fn grown(wire: &mut Wire, id: u32) {
    wire.receive(&head(id));
    for _ in 0..4 {
        wire.receive(&data(id, 16_000));
    }
    wire.send(&update(id, 64_000));
}

/// So much of a stream comes in pieces of 16,000 bytes, each read at once, and takes so long.
fn read(wire: &mut Wire, id: u32, pieces: u32, each: Duration) {
    for _ in 0..pieces {
        wire.receive(&data(id, 16_000));
        wire.now += each;
        wire.send(&update(id, 16_000));
    }
}

#[test]
fn an_answer_that_is_read_as_fast_as_it_comes_gets_more_and_more() {
    let _alone = alone();
    // While there is plenty, all at once.
    let mut others: Vec<_> = (0..2).map(|_| Wire::new()).collect();
    for other in &mut others {
        grown(other, 1);
        assert_eq!(other.granted, [(1, u32::try_from(MOST_OF_STREAM).unwrap())]);
    }
    let mut wire = Wire::new();
    grown(&mut wire, 1);
    let first = WINDOW * GROWTH;
    assert_eq!(wire.granted, [(1, u32::try_from(first).unwrap())]);
    read(&mut wire, 1, 45, Duration::from_millis(1));
    assert_eq!(wire.granted.len(), 1);
    read(&mut wire, 1, 20, Duration::from_millis(1));
    let sum: u32 = wire.granted.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!((wire.granted.len(), sum as usize), (2, MOST_OF_STREAM));
    read(&mut wire, 1, 1000, Duration::from_millis(1));
    assert_eq!(wire.granted.len(), 2);
}

#[test]
fn where_the_last_answer_was_read_fast_the_next_one_has_it_all_from_the_beginning() {
    let _alone = alone();
    let mut wire = Wire::new();
    grown(&mut wire, 1);
    wire.receive(&frame(DATA, END_STREAM, 1, b"x"));
    let most = u32::try_from(MOST_OF_STREAM).unwrap();
    wire.send(&head(3));
    assert_eq!(wire.granted, [(1, most), (3, most)]);
    // Another one beside it begins as always.
    wire.send(&head(5));
    assert_eq!(wire.granted.len(), 2);
    // It was of no use: the one after it has to show again that it is.
    wire.receive(&[head(3), frame(DATA, END_STREAM, 3, b"x")].concat());
    assert_eq!(wire.windows.extra, 0);
    wire.send(&head(7));
    assert_eq!(wire.granted.len(), 2);
}

#[test]
fn an_answer_that_comes_slowly_or_is_not_read_gets_nothing() {
    let _alone = alone();
    let mut wire = Wire::new();
    wire.receive(&head(1));
    // 107 KB a second.
    read(&mut wire, 1, 100, Duration::from_millis(150));
    // Not read at all.
    wire.receive(&head(3));
    for _ in 0..4 {
        wire.receive(&data(3, 16_000));
    }
    assert_eq!(wire.granted, []);
    assert_eq!((wire.got(1).0, wire.got(3).0), (1_600_000, 64_000));
    // What comes faster later is known as that.
    read(&mut wire, 1, 10, Duration::from_millis(10));
    assert_eq!(wire.granted.len(), 1);
    // A caller that stops reading keeps what there is, and gets no more.
    for _ in 0..60 {
        wire.receive(&data(1, 16_000));
    }
    wire.send(&update(1, 1000));
    assert_eq!(wire.granted.len(), 1);
}

#[test]
fn what_is_beyond_h2_s_window_waits_and_others_pass_it() {
    let _alone = alone();
    for size in [1, 7, 1000, 100_000] {
        let mut wire = Wire::new();
        grown(&mut wire, 1);
        for _ in 0..10 {
            wire.receive_in(&data(1, 16_000), size);
        }
        // Trailers in two frames, after which nothing comes.
        let trailers = [
            frame(HEADERS, END_STREAM, 1, b"trail"),
            frame(CONTINUATION, END_HEADERS, 1, b"er"),
        ];
        wire.receive_in(&trailers.concat(), size);
        let h2_may_have = 64_000 + WINDOW;
        let (before, has_ended) = wire.got(1);
        assert!(before <= h2_may_have && before > h2_may_have - 16_000 && !has_ended);
        assert!(wire.windows.holds_back());
        wire.receive_in(
            &[head(3), data(3, 10), frame(6, 0, 0, &[0; 8])].concat(),
            size,
        );
        assert_eq!(wire.got(3).0, 10);
        for _ in 0..10 {
            wire.send(&update(1, 16_000));
        }
        assert_eq!(wire.got(1), (64_000 + 160_000, true));
        assert!(!wire.windows.holds_back());
        assert_eq!(wire.windows.extra, 0);
    }
}

#[test]
fn what_was_given_up_passes_and_gives_back_what_it_was_granted() {
    let _alone = alone();
    let mut wire = Wire::new();
    grown(&mut wire, 1);
    for _ in 0..10 {
        wire.receive(&data(1, 16_000));
    }
    // In the middle of a frame.
    wire.receive(&data(1, 16_000)[..1000]);
    wire.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    assert_eq!(wire.windows.extra, 0);
    wire.receive(&data(1, 16_000)[1000..]);
    wire.receive(&data(1, 16_000));
    // What was whole is thrown away, and made up for on the connection; h2 gets what comes later.
    let (_, thrown_away) = wire.granted[1];
    assert_eq!(wire.granted[1].0, 0);
    assert_eq!(wire.got(1).0 + thrown_away as usize, 64_000 + 192_000);
    assert!(wire.windows.streams.is_empty());
}

#[test]
fn all_together_are_granted_no_more_than_the_most() {
    let _alone = alone();
    let before = GRANTED.load(Ordering::Relaxed);
    assert_eq!(before, 0);
    let mut wires = Vec::new();
    for _ in 0..40 {
        let mut wire = Wire::new();
        for id in (1..40).step_by(2) {
            grown(&mut wire, id);
        }
        assert!(wire.windows.extra <= MOST_OF_CONNECTION);
        wires.push(wire);
    }
    assert_eq!(GRANTED.load(Ordering::Relaxed), MOST_IN_ALL);
    // Those that got nothing are served as before.
    assert_eq!(wires[39].granted, []);
    drop(wires);
    assert_eq!(GRANTED.load(Ordering::Relaxed), 0);
}

#[test]
fn empty_frames_are_dropped_and_ends_are_not() {
    let mut wire = Wire::new();
    wire.receive(&head(1));
    for _ in 0..1000 {
        wire.receive(&data(1, 0));
    }
    wire.receive(&frame(DATA, END_STREAM, 1, b""));
    assert_eq!(
        wire.received,
        [head(1), frame(DATA, END_STREAM, 1, b"")].concat()
    );
}

#[test]
fn frames_that_are_too_long_are_h2_s_affair() {
    let mut wire = Wire::new();
    let long = [head(1), data(1, MAX_FRAME + 1), b"whatever".to_vec()].concat();
    wire.receive_in(&long, 100);
    assert_eq!(wire.received, long);
}

#[test]
fn frames_of_h2_are_followed_however_they_are_cut() {
    let _alone = alone();
    for size in [1, 5, 1000] {
        let mut wire = Wire::new();
        wire.receive(&head(1));
        for _ in 0..4 {
            wire.receive(&data(1, 16_000));
        }
        let sent = [
            head(3),
            data(3, 3000),
            update(0, 9),
            update(1, 64_000),
            data(3, 5),
        ]
        .concat();
        for piece in sent.chunks(size) {
            wire.send(piece);
        }
        assert_eq!(wire.granted.len(), 1, "in pieces of {size}");
    }
}

/// Of one stream what is received is what was sent, in its order, frame by frame, but for empty ones.
fn of_stream(bytes: &[u8], id: u32) -> Vec<Vec<u8>> {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while !rest.is_empty() {
        let head = Head::of_whole(rest).unwrap();
        let (frame, behind) = rest.split_at(FRAME_HEAD + head.length);
        let is_empty = head.kind == DATA && head.length == 0 && head.flags == 0;
        if head.stream == id && !is_empty {
            frames.push(frame.to_vec());
        }
        rest = behind;
    }
    frames
}

proptest::proptest! {
    /// Whatever comes in whatever pieces, and whenever callers read: h2 gets never more than its windows, all
    /// of it in the end, and header blocks in one piece.
    #[test]
    fn nothing_is_lost_or_doubled_and_h2_s_windows_are_kept(
        steps in proptest::collection::vec((0_u8..12, 0_u32..4, 0_usize..16_384, 1_usize..3_000), 1..60)
    ) {
        let _alone = alone();
        let mut wire = Wire::new();
        let (mut sent, mut read) = (Vec::new(), [0; 4]);
        let mut is_over = [false; 4];
        for id in 0..4 {
            sent.extend(head(2 * id + 1));
        }
        let opening = sent.clone();
        wire.receive(&opening);
        for (step, which, length, size) in steps {
            let (id, index) = (2 * which + 1, which as usize);
            let fresh = match step {
                0..=5 if !is_over[index] => data(id, length),
                6 if !is_over[index] => data(id, 0),
                7 if !is_over[index] && length < 2_000 => {
                    is_over[index] = true;
                    let block = [
                        frame(HEADERS, END_STREAM, id, b"trail"),
                        frame(CONTINUATION, 0, id, b"e"),
                        frame(CONTINUATION, END_HEADERS, id, b"r"),
                    ];
                    block.concat()
                }
                8 => frame(6, 0, 0, &[0; 8]),
                _ => {
                    // Somebody reads all there is.
                    let got = wire.got(id).0;
                    let fresh = got - read[index];
                    read[index] = got;
                    if fresh > 0 {
                        wire.send(&update(id, u32::try_from(fresh).unwrap()));
                    }
                    continue;
                }
            };
            sent.extend(&fresh);
            for piece in fresh.chunks(size) {
                wire.receive(piece);
                // Somebody reads while a frame is coming in, and another one may come behind it.
                if length % 3 == 0 {
                    let (index, id) = (length % 4, 2 * (u32::try_from(length).unwrap() % 4) + 1);
                    let got = wire.got_so_far(id);
                    if got > read[index] {
                        wire.send(&update(id, u32::try_from(got - read[index]).unwrap()));
                        read[index] = got;
                    }
                }
            }
            if length % 5 == 0 {
                // Two frames in one piece.
                let both = [data(id, length / 2), frame(6, 0, 0, &[0; 8])].concat();
                if !is_over[index] {
                    sent.extend(&both);
                    wire.receive(&both);
                }
            }
            for (id, read) in (1..).step_by(2).zip(read) {
                assert!(wire.got(id).0 <= read + WINDOW, "beyond h2's window");
            }
        }
        for _ in 0..60 {
            for (id, read) in (1..).step_by(2).zip(&mut read) {
                let got = wire.got(id).0;
                let fresh = u32::try_from(got - *read).unwrap();
                *read = got;
                wire.send(&update(id, fresh.max(1)));
            }
        }
        for id in [0, 1, 3, 5, 7] {
            assert_eq!(of_stream(&wire.received, id), of_stream(&sent, id));
        }
        let mut block = None;
        let mut rest = &wire.received[..];
        while !rest.is_empty() {
            let head = Head::of_whole(rest).unwrap();
            assert!(block.is_none_or(|id| (CONTINUATION, id) == (head.kind, head.stream)));
            if matches!(head.kind, HEADERS | CONTINUATION) {
                block = (!head.ends_block()).then_some(head.stream);
            }
            rest = &rest[FRAME_HEAD + head.length..];
        }
    }
}

/// A frame that was held back passes while the next one of its stream comes in the same piece.
#[test]
fn nothing_overtakes_what_may_pass() {
    let _alone = alone();
    let mut wire = Wire::new();
    grown(&mut wire, 1);
    for _ in 0..5 {
        wire.receive(&data(1, 16_000));
    }
    let last = frame(DATA, END_STREAM, 1, &[b'x'; 16_000]);
    let (begun, rest) = last.split_at(5_000);
    wire.receive(begun);
    // All that has come is read, and there is room for the last frame when it is whole.
    wire.send(&update(1, 60_000));
    assert!(!wire.got(1).1);
    let reset = frame(RST_STREAM, 0, 1, &[0; 4]);
    wire.receive(&[rest, &reset[..], &head(3)].concat());
    let end = [&last[..], &reset, &head(3)].concat();
    assert!(wire.received.ends_with(&end), "not in this order");
}

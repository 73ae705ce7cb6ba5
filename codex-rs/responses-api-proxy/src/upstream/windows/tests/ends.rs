//! How streams and connections end while something is held.

use super::*;

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
    let held = wire.windows.streams[&1].buffered.len();
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

//! What passes, what is held, and which streams are left to h2.

use super::*;

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
        let held = wire.windows.streams[&1].buffered.len();
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
        let mut sum = wire.windows.streams[&1].buffered.len();
        let many = piece.repeat(1000);
        while wire.windows.streams.contains_key(&1) {
            wire.receive(&many);
            let held = wire
                .windows
                .streams
                .get(&1)
                .map_or(0, |one| one.buffered.len());
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
    let held = wire.windows.streams[&1].buffered.len();
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
    let (before, held) = (
        wire.got(1).data.len(),
        wire.windows.streams[&1].buffered.len(),
    );
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

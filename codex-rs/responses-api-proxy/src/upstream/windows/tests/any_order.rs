//! Whatever both sides send, in any order: nothing is lost or doubled, and all is accounted for.

use super::*;

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

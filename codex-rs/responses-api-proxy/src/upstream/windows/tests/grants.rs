//! Who is granted more, and how much.

use super::*;

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

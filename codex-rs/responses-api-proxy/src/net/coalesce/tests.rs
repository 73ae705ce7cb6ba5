use super::*;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use http::HeaderMap;
use proptest::prelude::*;

const FLUSH_AT: usize = 16 * 1024;
const PASS_THROUGH_FROM: usize = FLUSH_AT / 2;

/// What a body comes up with, poll by poll.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Say {
    Piece(Vec<u8>),
    Nothing,
    Trailers,
    Error,
}
use Say::{Error, Nothing, Piece, Trailers};

#[derive(Debug)]
struct Scripted(VecDeque<Say>);

impl HttpBody for Scripted {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match self.get_mut().0.pop_front() {
            Some(Piece(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
            Some(Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
            Some(Error) => Poll::Ready(Some(Err("cut"))),
            Some(Nothing) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// A body that does not say that it is over before it is asked once more.
#[derive(Debug)]
struct Silent(Scripted);

impl HttpBody for Silent {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

#[test]
fn the_end_is_known_as_soon_as_what_came_before_it_is_handed_out() {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut is_over_after_a_poll = |script: Vec<Say>| {
        let body = Silent(Scripted(script.into()));
        let mut body = Coalesced::new(body, Handover::AtOnce, FLUSH_AT);
        assert!(!body.is_end_stream());
        let handed_out = Pin::new(&mut body).poll_frame(&mut cx);
        assert!(matches!(handed_out, Poll::Ready(Some(Ok(_)))));
        body.is_end_stream()
    };
    let piece = || Piece(b"piece".to_vec());
    assert!(is_over_after_a_poll(vec![piece(), piece()]));
    for what_is_next in [Nothing, Trailers, Error] {
        assert!(!is_over_after_a_poll(vec![piece(), what_is_next]));
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What comes out of each poll, as the script's words, and how often the body
/// asked to be polled again.
fn polls(handover: Handover, script: impl IntoIterator<Item = Say>) -> (Vec<Say>, usize) {
    let mut body = Coalesced::new(Scripted(script.into_iter().collect()), handover, FLUSH_AT);
    let wakes = Arc::new(Wakes::default());
    let waker = Arc::clone(&wakes).into();
    let mut cx = Context::from_waker(&waker);
    let mut out = Vec::new();
    loop {
        let at_end = body.is_end_stream();
        let wakes_before = wakes.0.load(Ordering::Relaxed);
        out.push(match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Pending => {
                let comes_again = wakes.0.load(Ordering::Relaxed) > wakes_before;
                assert_eq!(comes_again, body.gathered.len() > 0);
                Nothing
            }
            Poll::Ready(None) => return (out, wakes.0.load(Ordering::Relaxed)),
            Poll::Ready(Some(Err(_))) => Error,
            Poll::Ready(Some(Ok(frame))) => {
                assert!(!at_end, "more came after the end");
                match frame.into_data() {
                    Ok(data) => Piece(data.to_vec()),
                    Err(_) => Trailers,
                }
            }
        });
    }
}

fn piece(text: &str) -> Say {
    Piece(text.into())
}

#[test]
fn what_is_queued_leaves_in_one_piece_at_once() {
    let script = [piece("a"), piece("b"), Nothing, piece("c"), Nothing];
    let (out, wakes) = polls(Handover::AtOnce, script);
    assert_eq!(out, [piece("ab"), piece("c")]);
    assert_eq!(wakes, 0);
}

#[test]
fn what_is_handed_over_one_by_one_is_joined_by_yielding() {
    let script = [
        piece("a"),
        Nothing,
        Nothing,
        piece("b"),
        Nothing,
        piece("c"),
    ];
    let (out, wakes) = polls(Handover::OneByOne, script);
    assert_eq!(out, [Nothing, Nothing, Nothing, piece("abc")]);
    assert_eq!(wakes, 3, "each time it has to come again by itself");
}

#[test]
fn after_one_yield_what_is_there_leaves() {
    let script = [piece("a"), Nothing, Nothing, Nothing, piece("b")];
    let (out, wakes) = polls(Handover::OneByOne, script);
    assert_eq!(out, [Nothing, Nothing, piece("a"), piece("b")]);
    assert_eq!(wakes, 2);
}

#[test]
fn with_nothing_in_hand_it_waits_for_the_upstream_alone() {
    let (out, wakes) = polls(Handover::OneByOne, [Nothing, Nothing, Nothing, Nothing]);
    assert_eq!(out, [Nothing, Nothing, Nothing, Nothing]);
    assert_eq!(wakes, 0);
}

#[test]
fn a_stream_that_never_pauses_is_not_gathered_for_ever() {
    let script = (0..MAX_PIECES + 1).flat_map(|_| [piece("a"), Nothing]);
    let (out, _) = polls(Handover::OneByOne, script);
    let pieces: Vec<_> = out.into_iter().filter(|said| *said != Nothing).collect();
    assert_eq!(pieces, [piece(&"a".repeat(MAX_PIECES)), piece("a")]);
}

#[test]
fn what_is_short_keeps_no_long_buffer() {
    let mut gathered = Gathered::default();
    gathered.add(Bytes::from_static(b"a"), FLUSH_AT);
    gathered.add(Bytes::from_static(b"b"), FLUSH_AT);
    let bytes = BytesMut::from(gathered.take().unwrap());
    assert_eq!(bytes, "ab");
    assert!(bytes.capacity() < FLUSH_AT);
}

#[test]
fn trailers_and_errors_come_after_what_came_before_them() {
    let script = [piece("a"), piece("b"), Trailers];
    assert_eq!(polls(Handover::AtOnce, script).0, [piece("ab"), Trailers]);
    let script = [piece("a"), piece("b"), Error];
    assert_eq!(polls(Handover::OneByOne, script).0, [piece("ab"), Error]);
}

#[test]
fn one_piece_and_a_large_piece_are_not_copied() {
    let (small, large) = (
        Bytes::from_static(b"x"),
        Bytes::from(vec![b'y'; PASS_THROUGH_FROM]),
    );
    for data in [&small, &large] {
        let body = axum::body::Body::from(data.clone());
        let mut body = Coalesced::new(body, Handover::AtOnce, FLUSH_AT);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) else {
            panic!("no frame");
        };
        assert_eq!(frame.into_data().unwrap().as_ptr(), data.as_ptr());
    }
}

proptest! {
    /// Bytes and their order are kept, nothing grows without bound, and with
    /// something in hand, and only then, it has asked to be polled again (`polls`).
    #[test]
    fn nothing_is_lost_reordered_or_piled_up(
        script in proptest::collection::vec(
            prop_oneof![
                3 => (0..600_usize).prop_map(Some),
                1 => (PASS_THROUGH_FROM - 1..=PASS_THROUGH_FROM + 1).prop_map(Some),
                2 => Just(None),
            ],
            0..120,
        ),
        queued: bool,
    ) {
        let mut sent: Vec<u8> = Vec::new();
        let script: Vec<Say> = script
            .into_iter()
            .enumerate()
            .map(|(n, len)| len.map_or(Nothing, |len| {
                let piece = vec![u8::try_from(n).unwrap(); len];
                sent.extend(&piece);
                Piece(piece)
            }))
            .collect();
        let handover = if queued { Handover::AtOnce } else { Handover::OneByOne };
        let (out, _) = polls(handover, script);
        let mut got: Vec<u8> = Vec::new();
        for said in out {
            if let Piece(bytes) = said {
                prop_assert!(bytes.len() < FLUSH_AT + PASS_THROUGH_FROM);
                got.extend(bytes);
            }
        }
        prop_assert_eq!(got, sent);
    }
}

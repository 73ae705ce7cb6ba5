//! What has already arrived leaves in one piece; nothing waits for what has not.
//!
//! An answer of two hundred events often arrives in two reads, but comes out of the
//! HTTP/1.1 client one chunk at a time, and each would be a write of its own: most
//! of a relay's work. So what is there is gathered first. No clock is involved.
//!
//! Why that delays nothing. "There" is what the upstream's connection can hand over
//! without the network. Over HTTP/2 its frames are queued, and the first `Pending`
//! means that the queue is empty. Over HTTP/1.1 the client's connection is a task of
//! its own that hands over one chunk, and decodes the next one only when it has been
//! polled again, after ours was taken: `Pending` may mean just that it was not its
//! turn yet. So the task that serves the caller yields once, that is, wakes itself
//! and returns: it goes to the end of the queue of tasks that are ready, behind that
//! connection, which taking the chunk has made ready. If there is still nothing when
//! its turn comes, there is nothing, and what was gathered goes out.
//!
//! hyper's server polls a body that is `Pending` a second time in the same turn
//! (`Dispatcher::poll_loop`, after a flush), which gives nobody else a turn; two
//! polls that find nothing therefore make one yield. A body that is dropped takes
//! what it holds with it, and cancels the upstream as before.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// A piece this long is worth a write of its own, in bytes: it is not copied.
const LARGE: usize = 8 * 1024;

/// What is gathered goes out at this length, in bytes, whatever more there is.
const ENOUGH: usize = 16 * 1024;

/// So many pieces that came one by one go out, so that whoever waits for the first one
/// does not wait for a stream that never pauses.
const MANY: usize = 128;

/// How often a body in [`Handover::OneByOne`] must have nothing before it has nothing.
const POLLS_OF_A_YIELD: u8 = 2;

/// How the upstream's connection hands over what it has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// All of it; HTTP/2.
    Queued,
    /// A piece, and the next one after a turn of its own; HTTP/1.1.
    OneByOne,
}

/// A body whose small pieces are joined as far as they are there at once.
pub(crate) struct Coalesced<B: HttpBody> {
    body: B,
    handover: Handover,
    gathered: Gathered,
    /// What came behind the pieces gathered and is none to be gathered.
    next: Option<Arrival<B::Error>>,
    /// How often in a row there was nothing while something was gathered.
    empty_handed: u8,
}

/// A large piece, trailers, an error, or the end.
type Arrival<E> = Option<Result<Frame<Bytes>, E>>;

/// Small pieces and their number; a single one is passed on as it came.
#[derive(Debug, Default)]
enum Gathered {
    #[default]
    Nothing,
    One(Bytes),
    Several(BytesMut, usize),
}

impl Gathered {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(piece) => piece.len(),
            Self::Several(bytes, _) => bytes.len(),
        }
    }

    fn pieces(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(_) => 1,
            Self::Several(_, pieces) => *pieces,
        }
    }

    fn add(&mut self, piece: Bytes) {
        match self {
            Self::Nothing => *self = Self::One(piece),
            Self::One(first) => {
                let mut bytes = BytesMut::with_capacity(ENOUGH + LARGE);
                bytes.extend_from_slice(first);
                bytes.extend_from_slice(&piece);
                *self = Self::Several(bytes, 2);
            }
            Self::Several(bytes, pieces) => {
                bytes.extend_from_slice(&piece);
                *pieces += 1;
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::take(self) {
            Self::Nothing => None,
            Self::One(piece) => Some(piece),
            // Whoever reads slowly is not to keep much more than there is to read.
            Self::Several(bytes, _) if bytes.len() < bytes.capacity() / 2 => {
                Some(Bytes::copy_from_slice(&bytes))
            }
            Self::Several(bytes, _) => Some(bytes.freeze()),
        }
    }
}

impl<B> Coalesced<B>
where
    B: HttpBody<Data = Bytes>,
{
    pub(crate) fn new(body: B, handover: Handover) -> Self {
        Self {
            body,
            handover,
            gathered: Gathered::Nothing,
            next: None,
            empty_handed: 0,
        }
    }

    fn has_enough(&self) -> bool {
        let too_many = self.handover == Handover::OneByOne && self.gathered.pieces() >= MANY;
        too_many || self.gathered.len() >= ENOUGH
    }

    /// Whether what was found missing may be there after a yield.
    fn must_yield(&mut self) -> bool {
        let yields = self.handover == Handover::OneByOne && self.empty_handed < POLLS_OF_A_YIELD;
        self.empty_handed += u8::from(yields);
        yields
    }

    fn emit(&mut self) -> Poll<Arrival<B::Error>> {
        self.empty_handed = 0;
        match self.gathered.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => match self.next.take() {
                Some(next) => Poll::Ready(next),
                None => Poll::Pending,
            },
        }
    }
}

impl<B> HttpBody for Coalesced<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        while this.next.is_none() && !this.has_enough() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if piece.len() < LARGE => {
                        this.gathered.add(piece);
                        this.empty_handed = 0;
                    }
                    Ok(piece) => this.next = Some(Some(Ok(Frame::data(piece)))),
                    Err(trailers) => this.next = Some(Some(Ok(trailers))),
                },
                Poll::Ready(other) => this.next = Some(other),
                Poll::Pending if this.gathered.len() > 0 && this.must_yield() => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        this.emit()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.gathered.len() == 0 && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use http::HeaderMap;
    use proptest::prelude::*;

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
        let mut body = Coalesced::new(Scripted(script.into_iter().collect()), handover);
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
        let (out, wakes) = polls(Handover::Queued, script);
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
        let script = (0..MANY + 1).flat_map(|_| [piece("a"), Nothing]);
        let (out, _) = polls(Handover::OneByOne, script);
        let pieces: Vec<_> = out.into_iter().filter(|said| *said != Nothing).collect();
        assert_eq!(pieces, [piece(&"a".repeat(MANY)), piece("a")]);
    }

    #[test]
    fn what_is_short_keeps_no_long_buffer() {
        let mut gathered = Gathered::default();
        gathered.add(Bytes::from_static(b"a"));
        gathered.add(Bytes::from_static(b"b"));
        let bytes = BytesMut::from(gathered.take().unwrap());
        assert_eq!(bytes, "ab");
        assert!(bytes.capacity() < ENOUGH);
    }

    #[test]
    fn trailers_and_errors_come_after_what_came_before_them() {
        let script = [piece("a"), piece("b"), Trailers];
        assert_eq!(polls(Handover::Queued, script).0, [piece("ab"), Trailers]);
        let script = [piece("a"), piece("b"), Error];
        assert_eq!(polls(Handover::OneByOne, script).0, [piece("ab"), Error]);
    }

    #[test]
    fn one_piece_and_a_large_piece_are_not_copied() {
        let (small, large) = (Bytes::from_static(b"x"), Bytes::from(vec![b'y'; LARGE]));
        for data in [&small, &large] {
            let body = axum::body::Body::from(data.clone());
            let mut body = Coalesced::new(body, Handover::Queued);
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
                    1 => (LARGE - 1..=LARGE + 1).prop_map(Some),
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
            let handover = if queued { Handover::Queued } else { Handover::OneByOne };
            let (out, _) = polls(handover, script);
            let mut got: Vec<u8> = Vec::new();
            for said in out {
                if let Piece(bytes) = said {
                    prop_assert!(bytes.len() < ENOUGH + LARGE);
                    got.extend(bytes);
                }
            }
            prop_assert_eq!(got, sent);
        }
    }
}

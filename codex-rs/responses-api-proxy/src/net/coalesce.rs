//! What has already arrived leaves in one piece; nothing waits for what has not.
//!
//! An answer of two hundred events often arrives in two reads, but comes out of an
//! HTTP/1.1 connection one chunk at a time, and each would be a write of its own: most
//! of a relay's work. So what is there is gathered first. No clock is involved.
//!
//! Why that delays nothing. "There" is what the connection can hand over without the
//! network. The answer of an upstream hands over all that has been received
//! (`upstream/driver.rs`): `Pending` means that there is no more. A request body comes
//! from a caller's connection in a task of its own, which hands over one piece, and
//! reads the next one only when it has been polled again, after the first was taken:
//! `Pending` may mean just that it was not its turn yet. So the task that sends the
//! request yields once, that is, wakes itself and returns: it goes to the end of the
//! queue of tasks that are ready, behind that connection, which taking the piece has
//! made ready. If there is still nothing when its turn comes, there is nothing, and
//! what was gathered goes out.
//!
//! hyper polls a body that is `Pending` a second time in the same turn
//! (`Dispatcher::poll_loop`, after a flush), which gives nobody else a turn; two
//! polls that find nothing therefore make one yield. A body that is dropped takes
//! what it holds with it, and cancels the upstream as before.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Where pieces are gathered there is this much more room than is enough, in bytes: for one that comes
/// last.
const FOR_THE_LAST: usize = 1024;

/// So many pieces go out, so that whoever waits for the first one
/// does not wait for a stream that never pauses.
const MAX_PIECES: usize = 128;

/// How often a body in [`Handover::OneByOne`] must have nothing before it has nothing.
const POLLS_OF_A_YIELD: u8 = 2;

/// How a connection hands over what it has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// All of it.
    AtOnce,
    /// A piece, and the next one after a turn of its own.
    OneByOne,
}

/// A body whose small pieces are joined as far as they are there at once.
pub(crate) struct Coalesced<B: HttpBody> {
    body: B,
    handover: Handover,
    /// What is gathered goes out at this length, in bytes, whatever more there is. A piece half as long is
    /// worth a write of its own: it is not copied.
    enough: usize,
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

    fn add(&mut self, piece: Bytes, enough: usize) {
        match self {
            Self::Nothing => *self = Self::One(piece),
            Self::One(first) => {
                let mut bytes = BytesMut::with_capacity(enough + FOR_THE_LAST);
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
            Self::Several(bytes, _) if bytes.len() < bytes.capacity() / 8 * 7 => {
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
    /// `enough` is how much of it leaves in one piece at most, in bytes, give or take a piece.
    pub(crate) fn new(body: B, handover: Handover, enough: usize) -> Self {
        Self {
            body,
            handover,
            enough,
            gathered: Gathered::Nothing,
            next: None,
            empty_handed: 0,
        }
    }

    fn has_enough(&self) -> bool {
        self.gathered.pieces() >= MAX_PIECES || self.gathered.len() >= self.enough
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
                    Ok(piece) if piece.len() < this.enough / 2 => {
                        this.gathered.add(piece, this.enough);
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
        let is_over = match &self.next {
            // The end was found behind what has been handed out since.
            Some(next) => next.is_none(),
            None => self.body.is_end_stream(),
        };
        is_over && self.gathered.len() == 0
    }
}

#[cfg(test)]
mod tests;

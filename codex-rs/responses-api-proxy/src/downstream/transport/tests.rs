//! The transport over a scripted socket, on a clock that moves only when everybody waits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::task::Waker;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::config::limits;
use crate::downstream::connection_limit::ConnectionLimit;
use crate::observe::finished::Finished;
use crate::observe::observer::Observer;
use crate::observe::queue::Queue;

mod end;
mod read;
mod record;
mod write;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

const REQUEST: &[u8] =
    b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

/// What was done to a socket besides reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    CloseByReset,
    CloseInOrder,
    ShutDown,
}

/// A socket and the caller at its other end.
#[derive(Clone, Default)]
struct FakeSocket(Rc<RefCell<Script>>);

#[derive(Default)]
struct Script {
    /// What the caller has sent and nobody has read.
    sent: VecDeque<u8>,
    has_ended: bool,
    has_left: bool,
    /// How often it was looked for.
    looks: usize,
    /// Takes no more than it took so far.
    takes_nothing: bool,
    taken: Vec<u8>,
    calls: Vec<Call>,
    waiting: Vec<Waker>,
}

impl FakeSocket {
    fn change(&self, change: impl FnOnce(&mut Script)) {
        let mut script = self.0.borrow_mut();
        change(&mut script);
        script.waiting.drain(..).for_each(Waker::wake);
    }

    fn send(&self, bytes: &[u8]) {
        self.change(|script| script.sent.extend(bytes));
    }

    fn end(&self) {
        self.change(|script| script.has_ended = true);
    }

    fn take_nothing(&self, takes_nothing: bool) {
        self.change(|script| script.takes_nothing = takes_nothing);
    }

    fn leave(&self) {
        self.change(|script| script.has_left = true);
    }

    fn looks(&self) -> usize {
        self.0.borrow().looks
    }

    fn taken(&self) -> String {
        String::from_utf8(self.0.borrow().taken.clone()).unwrap()
    }

    fn calls(&self) -> Vec<Call> {
        self.0.borrow().calls.clone()
    }
}

impl AsyncRead for FakeSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut script = self.0.borrow_mut();
        if script.sent.is_empty() && !script.has_ended {
            script.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        let len = script.sent.len().min(buf.remaining());
        let bytes: Vec<u8> = script.sent.drain(..len).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FakeSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut script = self.0.borrow_mut();
        if script.takes_nothing {
            script.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        script.taken.extend(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().calls.push(Call::ShutDown);
        Poll::Ready(Ok(()))
    }
}

impl CallerSocket for FakeSocket {
    fn close_by_reset(&self) -> bool {
        self.0.borrow_mut().calls.push(Call::CloseByReset);
        true
    }

    fn close_in_order(&self) -> io::Result<()> {
        self.0.borrow_mut().calls.push(Call::CloseInOrder);
        Ok(())
    }

    fn has_left(&self, _: &PeerUsers) -> bool {
        let mut script = self.0.borrow_mut();
        script.looks += 1;
        script.has_left
    }
}

struct Served {
    downstream: Downstream<FakeSocket>,
    socket: FakeSocket,
    connection_state: Arc<ConnectionState>,
    limit: Arc<ConnectionLimit>,
    finished: Arc<Queue<Finished>>,
}

/// A connection that was just accepted.
fn served() -> Served {
    let socket = FakeSocket::default();
    let limit = Arc::new(ConnectionLimit::new(8, None, u64::MAX));
    let connection_state = Arc::new(ConnectionState::default());
    let permit = limit.admit(&connection_state, None).unwrap();
    let callers = Arc::new(PeerUsers::new(&[], &[], None).unwrap());
    let (observer, finished) = Observer::for_test();
    let downstream = Downstream::new(
        socket.clone(),
        Arc::clone(&connection_state),
        permit,
        callers,
        None,
        observer,
        HEADER_TIMEOUT,
    );
    Served {
        downstream,
        socket,
        connection_state,
        limit,
        finished,
    }
}

/// A connection on which this was sent, and read as hyper would read it.
async fn with_request(request: &[u8]) -> Served {
    let mut served = served();
    served.socket.send(request);
    assert!(served.downstream.receive().await);
    served.read().await.unwrap();
    served
}

impl Served {
    /// What hyper reads at once.
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(64 * 1024);
        self.downstream.read_buf(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads as hyper does that finds nothing.
    async fn read_nothing(&mut self) {
        let read = once(self.read()).await;
        assert!(read.is_pending(), "{read:?}");
    }

    /// Writes an answer as hyper does.
    async fn answer(&mut self) {
        let exchange = self.connection_state.open_exchange(false);
        self.downstream.write_all(b"answer").await.unwrap();
        drop(exchange);
        self.downstream.flush().await.unwrap();
    }

    fn is_idle(&self) -> bool {
        self.connection_state.idle_since().is_some()
    }
}

/// What a future comes to that is polled once.
async fn once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Checks that so much time has passed, and a deadline's second look at most.
fn assert_elapsed(begun: Instant, expected: Duration) {
    assert_about(begun.elapsed(), expected);
}

fn assert_about(elapsed: Duration, expected: Duration) {
    let most = expected + Duration::from_millis(10);
    assert!(elapsed >= expected && elapsed <= most, "{elapsed:?}");
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

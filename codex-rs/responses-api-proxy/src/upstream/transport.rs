//! The upstream's side of the wire, between a socket and hyper.
//!
//! Three things hyper leaves to its transport are done here. An upstream that sends without a pause gets
//! [`READ_IN_A_TURN`] bytes read, and then whatever else the thread serves has its turn. An upstream that
//! answers and closes while a request is still being sent has its answer read: a write that fails says
//! nothing about what has been received. And the first bytes that arrive are told to whoever waits to
//! know what the server allows, which over HTTP/2 is what it says first (RFC 9113, section 3.4).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::deadline::Deadline;

use super::windows::Windows;

/// So many bytes are read of one upstream before others have their turn.
const READ_IN_A_TURN: usize = 64 * 1024;

/// So many bytes are read at once over HTTP/1.1. That is also what bounds hyper's buffer for a body: it
/// doubles what it makes room for, from 8 KiB on, whenever a read fills it. The task that reads the answer
/// reads on at once (`driver.rs`), so it costs little.
const READ_AT_ONCE: u64 = 8 * 1024 - 1;
/// The same over HTTP/2, where frames wait elsewhere.
const READ_AT_ONCE_HTTP_2: u64 = 16 * 1024 - 1;

/// When a connection has ended of which something is still to be read: how long nobody may read on, and how
/// long it may take in all.
const LAST_PAUSE: Duration = Duration::from_secs(1);
const LAST_READS: Duration = Duration::from_secs(5);

/// With less room than this, in bytes, what has come is sorted elsewhere first; at least the head of a frame.
const ROOM_TO_SORT: usize = 64;

/// What carries the bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// TLS to the upstream through a CONNECT proxy.
    Tunnel(Box<TlsStream<TokioIo<Upgraded>>>),
}

/// How far writing has come on a connection; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing(Arc<Written>);

#[derive(Debug, Default)]
struct Written {
    bytes: AtomicU64,
    has_failed: AtomicBool,
    /// Who waits for more to be written.
    waiting: Mutex<Option<Waker>>,
}

impl Outgoing {
    /// Whether writing has failed: all that can follow is what was received before.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::Relaxed)
    }

    /// How many bytes were written so far.
    pub(crate) fn written(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Wakes whoever polls when more is written. To be asked for before a look at
    /// [`written`](Self::written).
    pub(crate) fn wake_when_written(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting();
        if !waiting
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waiting = Some(cx.waker().clone());
        }
    }

    fn note(&self, written: usize) {
        let written = u64::try_from(written).unwrap_or(u64::MAX);
        self.0.bytes.fetch_add(written, Ordering::Relaxed);
        let waiting = self.waiting().take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection to the upstream.
pub(crate) struct Transport {
    stream: Take<Stream>,
    read_at_once: u64,
    /// How much was read since there was last nothing to read.
    read_in_turn: usize,
    /// Told when the first bytes arrive.
    first_bytes: Option<oneshot::Sender<()>>,
    outgoing: Outgoing,
    /// Over HTTP/2.
    windows: Option<Windows>,
    /// What has passed them, and found no room.
    passed: BytesMut,
    /// How reading ended, told once what was held back is read.
    end: Option<End>,
}

impl Transport {
    /// The connection, and a promise that is kept when the first bytes arrive.
    pub(crate) fn new(stream: Stream, is_http_2: bool) -> (Self, oneshot::Receiver<()>) {
        let (first_bytes, arrived) = oneshot::channel();
        let read_at_once = if is_http_2 {
            READ_AT_ONCE_HTTP_2
        } else {
            READ_AT_ONCE
        };
        let transport = Self {
            stream: stream.take(read_at_once),
            read_at_once,
            read_in_turn: 0,
            first_bytes: Some(first_bytes),
            outgoing: Outgoing::default(),
            windows: is_http_2.then(Windows::default),
            passed: BytesMut::new(),
            end: None,
        };
        (transport, arrived)
    }

    pub(crate) fn outgoing(&self) -> Outgoing {
        self.outgoing.clone()
    }

    /// What a write came to. One that failed is said to have succeeded, so that reading goes on: it ends
    /// in the same fault, after everything that arrived before it.
    fn written(&self, outcome: io::Result<usize>, length: usize) -> io::Result<usize> {
        let written = outcome.unwrap_or_else(|_| {
            self.outgoing.0.has_failed.store(true, Ordering::Relaxed);
            length
        });
        self.outgoing.note(written);
        Ok(written)
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        // It would keep the memory of a task that is over.
        drop(self.outgoing.waiting().take());
    }
}

impl Transport {
    /// Reads from the socket, as much as may be read at once and before others have their turn.
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read_in_turn >= READ_IN_A_TURN {
            self.read_in_turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        self.stream.set_limit(self.read_at_once);
        let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            self.read_in_turn = 0;
            return Poll::Pending;
        };
        outcome?;
        let read = buf.filled().len() - before;
        if read == 0 && buf.remaining() > 0 && self.outgoing.has_failed() {
            // A reset that a write was told of first looks like an end to whoever reads next, and an
            // answer without a length would pass for whole.
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.read_in_turn += read;
        if let Some(first_bytes) = self.first_bytes.take() {
            // Whoever wanted to know may have gone.
            let _ = first_bytes.send(());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what may pass; all of it is in `buf` then, or waits in `passed`.
    fn poll_sorted(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.passed.is_empty() {
                let most = self.passed.len().min(buf.remaining());
                buf.put_slice(&self.passed.split_to(most));
                return Poll::Ready(Ok(()));
            }
            let ready = self.windows.as_mut();
            if let Some(ready) = ready.and_then(|windows| windows.take_ready(buf.remaining())) {
                buf.put_slice(&ready);
                if let Some(end) = &mut self.end {
                    end.put_off();
                }
                return Poll::Ready(Ok(()));
            }
            if let Some(mut end) = self.end.take() {
                let holds_back = self.windows.as_ref().is_some_and(Windows::holds_back);
                if holds_back && Pin::new(&mut end.patience).poll(cx).is_pending() {
                    // Or until h2 says that somebody has read on.
                    self.end = Some(end);
                    return Poll::Pending;
                }
                return Poll::Ready(end.outcome);
            }
            match ready!(self.poll_fresh(cx, buf)) {
                Ok(Fresh::Passed) => return Poll::Ready(Ok(())),
                Ok(Fresh::Nothing) => {}
                Ok(Fresh::End) => self.end = Some(End::new(Ok(()))),
                Err(error) => self.end = Some(End::new(Err(error))),
            }
        }
    }

    /// Reads once from the socket, and sorts what has come.
    fn poll_fresh(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Fresh>> {
        let begun = self.windows.as_ref().map(Windows::unfinished_head);
        let begun = begun.unwrap_or(&[]);
        if !begun.is_empty() || buf.remaining() < ROOM_TO_SORT {
            let mut scratch = [0; 2 * ROOM_TO_SORT];
            let mut room = ReadBuf::new(&mut scratch);
            room.put_slice(begun);
            let before = room.filled().len();
            ready!(self.poll_socket(cx, &mut room))?;
            if room.filled().len() == before {
                return Poll::Ready(Ok(Fresh::End));
            }
            let passed = self.sort(room.filled_mut());
            self.passed
                .extend_from_slice(room.filled().get(..passed).unwrap_or(&[]));
            return Poll::Ready(Ok(Fresh::Nothing));
        }
        let before = buf.filled().len();
        ready!(self.poll_socket(cx, buf))?;
        let Some(fresh) = buf
            .filled_mut()
            .get_mut(before..)
            .filter(|fresh| !fresh.is_empty())
        else {
            return Poll::Ready(Ok(Fresh::End));
        };
        let passed = self.sort(fresh);
        buf.set_filled(before + passed);
        Poll::Ready(Ok(if passed > 0 {
            Fresh::Passed
        } else {
            Fresh::Nothing
        }))
    }

    fn sort(&mut self, fresh: &mut [u8]) -> usize {
        let length = fresh.len();
        self.windows
            .as_mut()
            .map_or(length, |windows| windows.sort(fresh, Instant::now()))
    }

    /// Sends what the server is granted, where h2 has sent whole frames.
    fn poll_grants(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(grants) = self.windows.as_mut().and_then(Windows::grants) {
            match ready!(Pin::new(self.stream.get_mut()).poll_write(cx, grants)) {
                Ok(written) if written > 0 => grants.advance(written),
                _ => {
                    grants.clear();
                    self.outgoing.0.has_failed.store(true, Ordering::Relaxed);
                }
            }
        }
        Poll::Ready(())
    }

    /// Has the windows follow what h2 has sent; reading may go on then.
    fn follow(&mut self, sent: &[u8], cx: &Context<'_>) {
        if let Some(windows) = &mut self.windows {
            windows.follow(sent, Instant::now());
            if windows.is_ready() {
                cx.waker().wake_by_ref();
            }
        }
    }
}

/// The end of what comes, while something of it is still to be read.
struct End {
    outcome: io::Result<()>,
    /// How long it is waited for somebody to read on, and for all of it in all: others have streams on the
    /// connection that has ended, and are to know.
    patience: Deadline,
    until: Instant,
}

impl End {
    fn new(outcome: io::Result<()>) -> Self {
        Self {
            outcome,
            patience: Deadline::after(LAST_PAUSE),
            until: Instant::now() + LAST_READS,
        }
    }

    /// Somebody has read on.
    fn put_off(&mut self) {
        let next = Instant::now() + LAST_PAUSE;
        self.patience.put_off_until(next.min(self.until));
    }
}

/// What came of reading once.
enum Fresh {
    /// Some of it is where the reader wants it.
    Passed,
    /// Nothing is there.
    Nothing,
    /// There is no more.
    End,
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.windows.is_some() && buf.remaining() > 0 {
            this.poll_sorted(cx, buf)
        } else {
            this.poll_socket(cx, buf)
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_grants(cx));
        let outcome = ready!(Pin::new(this.stream.get_mut()).poll_write(cx, buf));
        let written = this.written(outcome, buf.len())?;
        this.follow(buf.get(..written).unwrap_or(buf), cx);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_grants(cx));
        let outcome = ready!(Pin::new(this.stream.get_mut()).poll_write_vectored(cx, bufs));
        let length = bufs.iter().map(|buf| buf.len()).sum();
        let written = this.written(outcome, length)?;
        let mut left = written;
        for buf in bufs {
            let sent = buf.get(..left).unwrap_or(buf);
            left -= sent.len();
            this.follow(sent, cx);
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_grants(cx));
        let outcome = ready!(Pin::new(this.stream.get_mut()).poll_flush(cx));
        Poll::Ready(this.written(outcome.map(|()| 0), 0).map(|_| ()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_shutdown(cx)
    }
}

/// Runs the same call on whichever stream it is.
macro_rules! on_each {
    ($stream:expr, $each:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($each) => $call,
            #[cfg(unix)]
            Stream::Unix($each) => $call,
            Stream::Tls($each) => $call,
            Stream::Tunnel($each) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        on_each!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (Transport, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (far, _) = listener.accept().await.unwrap();
        (Transport::new(Stream::Tcp(near.unwrap()), false).0, far)
    }

    /// What was received is read; then comes an error, and not the end.
    #[tokio::test]
    async fn a_failed_write_is_told_after_everything_that_was_received() {
        let (mut transport, mut far) = connected().await;
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        transport
            .outgoing
            .0
            .has_failed
            .store(true, Ordering::Relaxed);
        let mut text = Vec::new();
        let error = transport.read_to_end(&mut text).await.unwrap_err();
        assert_eq!(
            (text.as_slice(), error.kind()),
            (&b"answer"[..], io::ErrorKind::ConnectionReset)
        );
    }

    #[tokio::test]
    async fn an_end_without_a_failed_write_is_an_end() {
        let (mut transport, mut far) = connected().await;
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        let mut text = Vec::new();
        transport.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"answer");
    }
}

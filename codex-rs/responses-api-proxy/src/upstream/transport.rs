//! The upstream's side of the wire, between a socket and hyper.
//!
//! Four things hyper leaves to its transport are done here. An upstream that sends without a pause has
//! 32 KiB read (128 KiB over HTTP/2), and then whatever else the thread serves has its turn. An upstream that
//! answers and closes while a request is still being sent has its answer read: a write that fails says
//! nothing about what has been received. And the first bytes that arrive are told to whoever waits to
//! know what the server allows, which over HTTP/2 is what it says first (RFC 9113, section 3.4). And over
//! HTTP/2 the windows of answers are larger than h2 knows (`windows.rs`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::sync::oneshot;
use tokio::task::coop;

use crate::credential::substitution::sealed::{self, Sealed};
use crate::observe::upstream_connections::OpenConnection;

use super::outgoing_heads::OutgoingHeads;
use super::stream::Stream;
use super::windows::Windows;

/// So many bytes take one of the 128 steps that tokio allows a task in each of its turns
/// ([`tokio::task::coop`]): no more than 32 KiB are read before others have theirs, whoever reads.
const BYTES_OF_A_STEP: usize = 256;
/// The same over HTTP/2: 128 KiB. A frame is read in less time than as many bytes in chunks can take, and
/// those who wait for the answers find more of them at once, which are then written at once.
const BYTES_OF_A_STEP_HTTP_2: usize = 1024;

/// So many bytes are read at once over HTTP/1.1. That is also what bounds hyper's buffer for a body: it
/// doubles what it makes room for, from 8 KiB on, whenever a read fills it. The task that reads the answer
/// reads on at once (`driver.rs`), so it costs little.
const READ_AT_ONCE: u64 = 8 * 1024 - 1;
/// The same over HTTP/2, where frames wait elsewhere.
const READ_AT_ONCE_HTTP_2: u64 = 16 * 1024 - 1;

/// How far writing has come on a connection; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing(Arc<Written>);

#[derive(Debug, Default)]
struct Written {
    bytes: AtomicU64,
    has_failed: AtomicBool,
    is_flushed: AtomicBool,
    /// Who waits for more to be written.
    waiting: Mutex<Option<Waker>>,
    heads: OutgoingHeads,
}

impl Outgoing {
    /// Whether writing has failed: all that can follow is what was received before.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::Relaxed)
    }

    /// Whether hyper has nothing left to write: it flushes when its own buffer is empty.
    pub(crate) fn is_flushed(&self) -> bool {
        self.0.is_flushed.load(Ordering::Relaxed)
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

    pub(super) fn heads(&self) -> &OutgoingHeads {
        &self.0.heads
    }

    fn note(&self, written: usize) {
        let sealed = sealed::take();
        if sealed != Sealed::default() {
            self.heads().sealed(sealed);
        }
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

/// One connection to the upstream. Without `Debug`: answers are in it.
pub(crate) struct Transport {
    stream: Take<Stream>,
    read_at_once: u64,
    bytes_of_a_step: usize,
    /// Told when the first bytes arrive.
    first_bytes: Option<oneshot::Sender<()>>,
    outgoing: Outgoing,
    /// Over HTTP/2.
    windows: Option<Box<Windows>>,
    /// How reading ended, which is told when nothing is held any more.
    end: Option<io::Result<()>>,
    counted: Option<OpenConnection>,
}

impl Transport {
    /// The connection, and a promise that is kept when the first bytes arrive.
    pub(crate) fn new(stream: Stream, is_http_2: bool) -> (Self, oneshot::Receiver<()>) {
        let (first_bytes, arrived) = oneshot::channel();
        let (read_at_once, bytes_of_a_step) = if is_http_2 {
            (READ_AT_ONCE_HTTP_2, BYTES_OF_A_STEP_HTTP_2)
        } else {
            (READ_AT_ONCE, BYTES_OF_A_STEP)
        };
        let transport = Self {
            stream: stream.take(read_at_once),
            read_at_once,
            bytes_of_a_step,
            first_bytes: Some(first_bytes),
            outgoing: Outgoing::default(),
            windows: is_http_2.then(|| Box::new(Windows::new())),
            end: None,
            counted: None,
        };
        (transport, arrived)
    }

    /// It is counted among those that are open until it is dropped.
    pub(crate) fn count_as(&mut self, open: OpenConnection) {
        self.counted = Some(open);
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
    /// Reads from the socket.
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // TLS can have bytes at hand that no socket counts.
        let step = ready!(coop::poll_proceed(cx));
        let before = buf.filled().len();
        self.stream.set_limit(self.read_at_once);
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        step.made_progress();
        let read = buf.filled().len() - before;
        if read == 0 && buf.remaining() > 0 && self.outgoing.has_failed() {
            // A reset that a write was told of first looks like an end to whoever reads next, and an
            // answer without a length would pass for whole.
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        for _ in 0..read / self.bytes_of_a_step {
            // When none is left there is nothing more to take; the next read waits.
            if let Poll::Ready(step) = coop::poll_proceed(cx) {
                step.made_progress();
            }
        }
        if let Some(first_bytes) = self.first_bytes.take() {
            // Whoever wanted to know may have gone.
            let _ = first_bytes.send(());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads from the socket what `windows` lets pass.
    fn poll_through(
        &mut self,
        windows: &mut Windows,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            if windows.hand_over(buf) {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = self.end.take() {
                if windows.holds_back() {
                    // Until h2 says that somebody has read on, and writes that.
                    self.end = Some(end);
                    return Poll::Pending;
                }
                return Poll::Ready(end);
            }
            let outcome = ready!(self.poll_socket(cx, buf));
            let fresh = buf.filled().get(before..).unwrap_or(&[]);
            if outcome.is_err() || fresh.is_empty() {
                windows.end();
                self.end = Some(outcome);
                continue;
            }
            let passed = windows.take(fresh);
            buf.set_filled(before + passed);
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Sends what the server is granted, where h2 has sent whole frames.
    fn poll_updates(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(updates) = self.windows.as_mut().and_then(|windows| windows.updates()) {
            match ready!(Pin::new(self.stream.get_mut()).poll_write(cx, updates)) {
                Ok(written) if written > 0 => updates.advance(written),
                _ => {
                    updates.clear();
                    self.outgoing.0.has_failed.store(true, Ordering::Relaxed);
                }
            }
        }
        Poll::Ready(())
    }

    /// Has the windows know what h2 has sent; it can read on then.
    fn follow(&mut self, sent: &[u8], cx: &Context<'_>) {
        if let Some(windows) = &mut self.windows {
            windows.follow(sent);
            if windows.is_ready() {
                cx.waker().wake_by_ref();
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(mut windows) = this.windows.take_if(|_| buf.remaining() > 0) else {
            return this.poll_socket(cx, buf);
        };
        let read = this.poll_through(&mut windows, cx, buf);
        this.windows = Some(windows);
        read
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.outgoing.0.is_flushed.store(false, Ordering::Relaxed);
        ready!(this.poll_updates(cx));
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
        this.outgoing.0.is_flushed.store(false, Ordering::Relaxed);
        ready!(this.poll_updates(cx));
        let outcome = ready!(Pin::new(this.stream.get_mut()).poll_write_vectored(cx, bufs));
        let length = bufs.iter().map(|buf| buf.len()).sum();
        let written = this.written(outcome, length)?;
        let mut rest = written;
        for buf in bufs {
            let sent = rest.min(buf.len());
            this.follow(buf.get(..sent).unwrap_or(buf), cx);
            rest -= sent;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_updates(cx));
        let outcome = ready!(Pin::new(this.stream.get_mut()).poll_flush(cx));
        this.outgoing.0.is_flushed.store(true, Ordering::Relaxed);
        Poll::Ready(this.written(outcome.map(|()| 0), 0).map(|_| ()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

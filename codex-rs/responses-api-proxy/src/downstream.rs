//! The caller's connection, between the socket and hyper.
//!
//! Three things hyper leaves to its transport are done here. Heads are read
//! strictly before hyper gets them (`inbound.rs`), one at a time: what comes
//! behind a request waits until it is answered, while the socket is still read,
//! so that a caller that leaves is noticed. A bad head is answered by us. Flushes
//! are counted, so that the relay knows when its last bytes are out. And the end
//! of a connection is made to say what it means: a reset where a plain close would
//! pass for a complete answer, a patient close where the caller is still sending
//! and would lose our answer to a reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::inbound::{HeadFault, Inbound};
use crate::refusal::Refusal;

/// How long a closing connection waits for a caller that is still sending.
const LINGER: Duration = Duration::from_secs(2);

/// What the parts of the proxy that serve one connection know of each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// How often everything written so far had reached the socket.
    flushes: AtomicU64,
    /// Somebody waits for the next flush.
    flush_awaited: AtomicBool,
    /// How many requests have been answered, or given up.
    exchanges_ended: AtomicU64,
    /// The answer has no framing but the end of the connection (HTTP/1.0).
    ends_by_close: AtomicBool,
    /// The proxy is over once this connection is done.
    is_last: AtomicBool,
}

/// A point in a connection's history of flushes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushMark(u64);

/// Held while a request is answered, by whatever is still needed to answer it.
#[derive(Debug)]
pub(crate) struct Exchange(Arc<Link>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.exchanges_ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Link {
    /// A request begins; `ends_by_close` if its answer can only end by closing.
    pub(crate) fn open_exchange(self: &Arc<Self>, ends_by_close: bool) -> Exchange {
        self.ends_by_close.store(ends_by_close, Ordering::Relaxed);
        Exchange(Arc::clone(self))
    }

    /// Where the connection is, as of now.
    pub(crate) fn mark(&self) -> FlushMark {
        FlushMark(self.flushes.load(Ordering::Relaxed))
    }

    /// Ready once everything written before `mark` has reached the socket.
    ///
    /// The waker is that of the connection's own task, which also flushes: a
    /// flush wakes the task it runs in.
    pub(crate) fn poll_flushed_since(&self, mark: FlushMark) -> Poll<()> {
        if self.flushes.load(Ordering::Relaxed) > mark.0 {
            return Poll::Ready(());
        }
        self.flush_awaited.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// Notes that the proxy is over once this connection is done.
    pub(crate) fn end_with_this(&self) {
        self.is_last.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ends_the_proxy(&self) -> bool {
        self.is_last.load(Ordering::Relaxed)
    }
}

/// A caller's socket.
pub(crate) struct Downstream {
    stream: TcpStream,
    inbound: Inbound,
    link: Arc<Link>,
    /// Every request passed on is answered, and every answer is with the kernel: a
    /// further head may be looked at.
    is_quiet: bool,
    /// Nothing more is read: a head was refused.
    is_refused: bool,
    /// Our answer to a refused head, as far as it is not yet written.
    last_word: Bytes,
    /// Any end of this process resets the connection, until it is shut down in order.
    resets: bool,
    closing: Option<Pin<Box<Sleep>>>,
}

impl Downstream {
    pub(crate) fn new(stream: TcpStream, link: Arc<Link>) -> Self {
        Self {
            stream,
            inbound: Inbound::new(),
            link,
            is_quiet: true,
            is_refused: false,
            last_word: Bytes::new(),
            resets: false,
            closing: None,
        }
    }

    /// Ends the reading side with an answer of ours. Heads are looked at only while
    /// the connection is quiet, so it falls into no other answer.
    fn refuse(&mut self, fault: HeadFault) {
        self.is_refused = true;
        self.last_word = Refusal::Head(fault).to_http1().into();
    }

    fn passed_on(&mut self, heads_before: u64) {
        if self.inbound.heads() > heads_before {
            self.is_quiet = false;
        }
    }

    /// Before an answer whose only end is that of the connection: a close that
    /// nobody meant, by a cut upstream or by the end of this process, must not
    /// pass for that end. With SO_LINGER 0 it is a reset (socket(7)).
    fn guard_the_end(&mut self) {
        if !self.resets && self.link.ends_by_close.load(Ordering::Relaxed) {
            self.resets = self.stream.set_zero_linger().is_ok();
        }
    }

    /// The answer is whole: its end may be taken for what it is.
    #[allow(
        deprecated,
        reason = "deprecated for lingers that block; this one ends a linger of zero"
    )]
    fn allow_the_end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.resets) {
            self.stream.set_linger(None)?;
        }
        Ok(())
    }

    /// Reads and throws away what a caller still sends, until it has seen our
    /// end of the connection or its time is up: closing with unread bytes would
    /// reset the connection under the answer (RFC 9112, section 9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let closing = self
            .closing
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut scratch = [0; 4096];
        loop {
            if closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut scrap = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut scrap)) {
                Ok(()) if scrap.filled().is_empty() => return Poll::Ready(()),
                Ok(()) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Downstream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.is_refused {
                return Poll::Ready(Ok(()));
            }
            let heads = this.inbound.heads();
            let mut room = |bytes: &[u8]| {
                let len = bytes.len().min(buf.remaining());
                buf.put_slice(bytes.get(..len).unwrap_or_default());
                len
            };
            match this.inbound.pass_on(&mut room, this.is_quiet) {
                Ok(true) => {
                    this.passed_on(heads);
                    return Poll::Ready(Ok(()));
                }
                Ok(false) => {}
                Err(fault) => {
                    this.refuse(fault);
                    continue;
                }
            }
            if this.inbound.is_full() {
                // The flush that makes the connection quiet wakes this task.
                return Poll::Pending;
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match this.inbound.arrive(fresh, this.is_quiet) {
                Ok(passed) => {
                    buf.set_filled(before + passed);
                    this.passed_on(heads);
                    if passed > 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(fault) => {
                    buf.set_filled(before);
                    this.refuse(fault);
                }
            }
        }
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.guard_the_end();
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.guard_the_end();
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when its own buffer is empty: all is with the kernel.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.link.flushes.fetch_add(1, Ordering::Relaxed);
        let was_quiet = this.is_quiet;
        this.is_quiet = this.link.exchanges_ended.load(Ordering::Relaxed) >= this.inbound.heads();
        let may_go_on = this.is_quiet && !was_quiet && this.inbound.holds_back();
        if this.link.flush_awaited.swap(false, Ordering::Relaxed) || may_go_on {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.last_word.has_remaining() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &this.last_word))?;
            this.last_word.advance(written);
        }
        if this.closing.is_none() {
            this.allow_the_end()?;
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if this.is_refused || this.inbound.is_unfinished() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

//! The caller's connection, between the socket and hyper.
//!
//! Three things hyper leaves to its transport are done here. Heads are read
//! strictly before hyper gets them (`downstream/head.rs`), one at a time: what comes
//! behind a request waits until it is answered, while the socket is still read,
//! so that a caller that leaves is noticed. Where hyper does not read, because nobody
//! takes the body, the caller is looked for. A bad head is answered by us. Flushes
//! are counted, so that the relay knows when its last bytes are out. And the end
//! of a connection is made to say what it means: a reset where a plain close would
//! pass for a complete answer, a patient close where the caller is still sending
//! and would lose our answer to a reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use codex_deadline::Deadline;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::access::peer_users::PeerUsers;
use crate::config::limits;
use crate::downstream::connection_limit::ConnectionPermit;
use crate::downstream::connection_state::ConnectionState;
use crate::downstream::head::Inbound;
use crate::downstream::head_error::HeadError;
use crate::net::socket::Socket;
use crate::refusal::Refusal;

/// How long a closing connection waits for a caller that is still sending.
const LINGER: Duration = Duration::from_secs(2);

/// How often a caller is looked for while nobody reads what it sends.
const LOOK: Duration = Duration::from_millis(50);

/// How much may come behind a request and be thrown away before the connection is
/// cut, in bytes: a client that goes on sending all the same is none.
const MAX_DISCARDED: usize = 1024 * 1024;

/// So many bytes are read at once, which is also what bounds hyper's buffer for a body: it doubles what it
/// makes room for, from 8 KiB on, whenever a read fills it.
const READ_AT_ONCE: u64 = 16 * 1024 - 1;
/// The same where the body comes in chunks: small ones take room of their own besides.
const READ_AT_ONCE_OF_CHUNKS: u64 = 8 * 1024 - 1;

/// A head up to this long is kept whatever others keep, in bytes.
const SMALL_HEAD: usize = 8 * 1024;

/// What an idle connection is waited for, each with a timeout of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// Nothing: a request is being answered.
    Nothing,
    /// The first request, from the first moment on.
    First,
    /// The rest of a head, from its first byte on.
    Rest,
    /// A further request.
    Next,
}

/// A caller's connection.
pub(crate) struct Downstream {
    stream: Socket,
    inbound: Inbound,
    connection_state: Arc<ConnectionState>,
    permit: ConnectionPermit,
    callers: Arc<PeerUsers>,
    header_timeout: Duration,
    awaited: Awaited,
    timeout: Option<Deadline>,
    /// How much of an unfinished head is buffered, as the limit was told.
    buffered: usize,
    /// How many heads were passed on.
    heads_passed: u64,
    /// Every request passed on is answered, and every answer is with the kernel: a
    /// further head may be looked at.
    is_idle: bool,
    /// Nothing more is read: a head was refused.
    is_refused: bool,
    /// Our answer to a refused head, as far as it is not yet written.
    final_response: Bytes,
    /// Any end of this process resets the connection, until it is shut down in order.
    resets: bool,
    closing: Option<Pin<Box<Sleep>>>,
    /// hyper waits for the caller's next bytes, and so notices when it leaves.
    is_read: bool,
    /// When to look for the caller otherwise.
    look: Option<Pin<Box<Sleep>>>,
    /// How long the caller takes nothing of its answer.
    write_timeout: Option<Deadline>,
}

impl Downstream {
    pub(crate) fn new(
        stream: Socket,
        connection_state: Arc<ConnectionState>,
        permit: ConnectionPermit,
        callers: Arc<PeerUsers>,
        header_timeout: Duration,
    ) -> Self {
        Self {
            stream,
            inbound: Inbound::new(),
            connection_state,
            permit,
            callers,
            header_timeout,
            awaited: Awaited::Nothing,
            timeout: None,
            buffered: 0,
            heads_passed: 0,
            is_idle: true,
            is_refused: false,
            final_response: Bytes::new(),
            resets: false,
            closing: None,
            is_read: false,
            look: None,
            write_timeout: None,
        }
    }

    /// Ends the reading side with an answer of ours. Heads are looked at only while
    /// the connection is idle, so it falls into no other answer.
    fn refuse(&mut self, fault: HeadError) {
        self.is_refused = true;
        self.final_response = Refusal::Head(fault).to_http1().into();
    }

    /// Something is to be passed on; if a head is in it, the connection is busy.
    ///
    /// # Errors
    ///
    /// When the connection was evicted before the head came: its slot is somebody else's, its task
    /// ends at the next turn, and nothing of the request may go up.
    fn pass(&mut self) -> io::Result<()> {
        if self.inbound.heads() > self.heads_passed {
            if !self.connection_state.become_busy() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.heads_passed = self.inbound.heads();
            self.is_idle = false;
            self.awaited = Awaited::Nothing;
        }
        Ok(())
    }

    /// Reads until the first head is there, before there is anything else to serve
    /// the connection: one that never gets there costs next to nothing.
    ///
    /// False if there is nothing to serve.
    pub(crate) async fn receive(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut scratch = [0; 4096];
        loop {
            if self.is_refused {
                let _ended = ready!(self.poll_end(cx));
                return Poll::Ready(false);
            }
            if self.inbound.is_ready() {
                return Poll::Ready(true);
            }
            let mut scrap = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) if !scrap.filled().is_empty() => {
                    match self.inbound.hold(scrap.filled()) {
                        Ok(()) => self.keep_account(),
                        Err(fault) => self.refuse(fault),
                    }
                }
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => {
                    if ready!(self.poll_timeout(cx)).is_none() {
                        return Poll::Ready(false);
                    }
                }
            }
        }
    }

    /// Ready when an idle connection has been waited for long enough: with an answer
    /// of ours on its way if a head was begun, with nothing to say otherwise.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let awaited = match (self.is_idle, self.inbound.holds_back()) {
            (false, _) => Awaited::Nothing,
            (true, true) => Awaited::Rest,
            (true, false) if self.inbound.heads() == 0 => Awaited::First,
            (true, false) => Awaited::Next,
        };
        let goes_on =
            awaited == self.awaited || (self.awaited, awaited) == (Awaited::First, Awaited::Rest);
        if awaited != self.awaited && awaited != Awaited::Nothing {
            // Looked at, and no request was there.
            self.connection_state.become_idle(self.permit.tick());
        }
        self.awaited = awaited;
        let limit = match awaited {
            Awaited::Nothing => return Poll::Pending,
            Awaited::First | Awaited::Rest => self.header_timeout,
            Awaited::Next => limits::IDLE,
        };
        let timeout = self.timeout.get_or_insert_with(|| Deadline::after(limit));
        if !goes_on {
            timeout.put_off(limit);
        }
        ready!(Pin::new(timeout).poll(cx));
        if awaited == Awaited::Rest {
            self.refuse(HeadError::TooSlow);
            return Poll::Ready(Some(()));
        }
        self.is_refused = true;
        Poll::Ready(None)
    }

    /// How long the caller may take nothing of what is written to it.
    fn longest_write(&self) -> Duration {
        if self.is_refused || self.connection_state.is_refusal() {
            limits::REFUSAL_STALLED
        } else {
            limits::STALLED
        }
    }

    /// What a write came to; an error if the caller has taken nothing for too long.
    fn poll_taken(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_timeout = None;
            return written;
        }
        let most = self.longest_write();
        let write_timeout = self
            .write_timeout
            .get_or_insert_with(|| Deadline::after(most));
        ready!(Pin::new(write_timeout).poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Tells the limit what is buffered of unfinished heads; refuses this one if that is
    /// too much in all and it is no small one.
    fn keep_account(&mut self) {
        let now = self.inbound.unfinished();
        if now == self.buffered {
            return;
        }
        let is_too_much = self.permit.buffer(self.buffered, now);
        self.buffered = now;
        // Behind a request that is being answered it is left alone: no more is read
        // there than one head.
        if is_too_much && now > SMALL_HEAD && self.is_idle {
            self.refuse(HeadError::Crowded);
        }
    }

    /// Looks for the caller from time to time while its request is being answered and
    /// nobody reads what it sends: its end of the connection then lies behind bytes that
    /// wait, or has not even come, because there is no room for what it sent before.
    ///
    /// # Errors
    ///
    /// When it has left.
    fn look_for_caller(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_idle || self.is_read {
            return Ok(());
        }
        let look = self
            .look
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK)));
        while look.as_mut().poll(cx).is_ready() {
            let is_gone = self.stream.is_read_closed()
                || self.stream.has_bytes() && self.callers.know_it_left(&self.stream);
            if is_gone {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            look.as_mut().reset(Instant::now() + LOOK);
        }
        Ok(())
    }

    /// Before an answer whose only end is that of the connection: a close that
    /// nobody meant, by a cut upstream or by the end of this process, must not
    /// pass for that end. With SO_LINGER 0 it is a reset (socket(7)).
    fn arm_reset(&mut self) {
        if !self.resets && self.connection_state.ends_by_close() {
            self.resets = self.stream.close_by_reset();
        }
    }

    /// The answer is whole: its end may be taken for what it is.
    fn disarm_reset(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.resets) {
            self.stream.close_in_order()?;
        }
        Ok(())
    }

    /// Our final response if there is one, the end of our side, and patience with a
    /// caller that is still sending.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.final_response.has_remaining() {
            let written = Pin::new(&mut self.stream).poll_write(cx, &self.final_response);
            let written = ready!(self.poll_taken(written, cx))?;
            self.final_response.advance(written);
        }
        if self.closing.is_none() {
            self.disarm_reset()?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.is_refused || self.inbound.is_unfinished() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
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
        this.is_read = false;
        loop {
            if this.is_refused {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            let mut room = |bytes: &[u8]| {
                let len = bytes.len().min(buf.remaining());
                // What is not put there has not been moved.
                bytes.get(..len).map_or(0, |bytes| {
                    buf.put_slice(bytes);
                    len
                })
            };
            match this.inbound.pass_on(&mut room, this.is_idle) {
                Ok(true) => {
                    if let Err(error) = this.pass() {
                        buf.set_filled(before);
                        return Poll::Ready(Err(error));
                    }
                    this.keep_account();
                    return Poll::Ready(Ok(()));
                }
                Ok(false) => {}
                Err(fault) => {
                    this.refuse(fault);
                    continue;
                }
            }
            if this.inbound.is_broken() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if this.inbound.is_over() && this.is_idle {
                return Poll::Ready(Ok(()));
            }
            let most = if this.inbound.is_chunked() {
                READ_AT_ONCE_OF_CHUNKS
            } else {
                READ_AT_ONCE
            };
            let mut some = (&mut this.stream).take(most);
            match Pin::new(&mut some).poll_read(cx, buf) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    this.is_read = true;
                    ready!(this.poll_timeout(cx));
                    continue;
                }
            }
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match this.inbound.arrive(fresh, this.is_idle) {
                Ok(passed) => {
                    let served = this.pass();
                    let passed = if served.is_ok() { passed } else { 0 };
                    buf.set_filled(before + passed);
                    served?;
                    this.keep_account();
                    if passed > 0 {
                        return Poll::Ready(Ok(()));
                    }
                    if this.inbound.thrown_away() > MAX_DISCARDED {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
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
        this.arm_reset();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.poll_taken(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.arm_reset();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.poll_taken(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when its own buffer is empty: all is with the kernel.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.look_for_caller(cx)?;
        let is_awaited = this.connection_state.note_flush();
        let was_idle = this.is_idle;
        this.is_idle = this.connection_state.exchanges_ended() >= this.inbound.heads();
        if this.is_idle && !was_idle && !this.inbound.holds_back() {
            this.connection_state.become_idle(this.permit.tick());
        }
        let goes_on = this.inbound.holds_back() || this.inbound.is_over();
        let may_go_on = this.is_idle && !was_idle && goes_on;
        if is_awaited || may_go_on {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        self.permit.buffer(self.buffered, 0);
    }
}

#[cfg(all(test, unix))]
mod tests;

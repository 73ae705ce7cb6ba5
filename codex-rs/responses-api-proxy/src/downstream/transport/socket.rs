//! The socket beneath a caller's connection: how long a write may take, and what its close means.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::access::peer_users::PeerUsers;
use crate::net::socket::Socket;
use codex_deadline::Deadline;

/// What a caller's connection asks of a socket besides its bytes.
pub(crate) trait CallerSocket: AsyncRead + AsyncWrite + Unpin {
    /// From now on any close is a reset. False where there is no such thing.
    fn close_by_reset(&self) -> bool;

    /// Takes [`close_by_reset`](Self::close_by_reset) back.
    ///
    /// # Errors
    ///
    /// When the system does not: a close would still be a reset.
    fn close_in_order(&self) -> io::Result<()>;

    /// Whether the caller is known to have left, without reading what it sent.
    fn has_left(&self, callers: &PeerUsers) -> bool;
}

impl CallerSocket for Socket {
    fn close_by_reset(&self) -> bool {
        Socket::close_by_reset(self)
    }

    fn close_in_order(&self) -> io::Result<()> {
        Socket::close_in_order(self)
    }

    fn has_left(&self, callers: &PeerUsers) -> bool {
        self.is_read_closed() || self.has_bytes() && callers.know_it_left(self)
    }
}

/// A socket that gives up on a caller that takes nothing, and whose close can be made a reset.
pub(super) struct GuardedSocket<S> {
    socket: S,
    /// Any end of this process resets the connection, until it is shut down in order.
    is_reset_armed: bool,
    /// How long the caller takes nothing of what is written; only while it does not.
    write_timeout: Option<Deadline>,
}

impl<S: CallerSocket> GuardedSocket<S> {
    pub(super) fn new(socket: S) -> Self {
        Self {
            socket,
            is_reset_armed: false,
            write_timeout: None,
        }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.socket
    }

    /// Before an answer whose only end is that of the connection: a close that
    /// nobody meant, by a cut upstream or by the end of this process, must not
    /// pass for that end. With SO_LINGER 0 it is a reset (socket(7)).
    pub(super) fn arm_reset(&mut self) {
        if !self.is_reset_armed {
            self.is_reset_armed = self.socket.close_by_reset();
        }
    }

    /// Reads no more than `most` bytes.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        most: u64,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut (&mut self.socket).take(most)).poll_read(cx, buf)
    }

    /// # Errors
    ///
    /// The socket's; `TimedOut` when the caller has taken nothing for `timeout`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        timeout: Duration,
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.poll_taken(written, cx, timeout)
    }

    /// As [`poll_write`](Self::poll_write), of several pieces.
    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        timeout: Duration,
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.poll_taken(written, cx, timeout)
    }

    fn poll_taken(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
        timeout: Duration,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_timeout = None;
            return written;
        }
        let deadline = self
            .write_timeout
            .get_or_insert_with(|| Deadline::after(timeout));
        ready!(Pin::new(deadline).poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Ends our side in order: what was written is whole, and its end may be taken for what it is.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_reset_armed) {
            self.socket.close_in_order()?;
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

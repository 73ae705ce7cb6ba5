//! What is written to a caller, and for how long it may take nothing of it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::Downstream;
use super::socket::CallerSocket;
use super::state::{Event, State};
use crate::config::limits;

impl<S: CallerSocket> Downstream<S> {
    /// How long the caller may take nothing of what is written to it.
    pub(super) fn write_timeout(&self) -> Duration {
        if !self.state.reads() || self.connection_state.is_refusal() {
            limits::REFUSAL_STALLED
        } else {
            limits::STALLED
        }
    }

    fn note_if_stalled(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Err(error)) = written
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.connection_state.note_stalled();
        }
    }

    fn arm_reset(&mut self) {
        if self.connection_state.ends_by_close() {
            self.socket.arm_reset();
        }
    }
}

impl<S: CallerSocket> AsyncWrite for Downstream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.arm_reset();
        let timeout = this.write_timeout();
        let written = this.socket.poll_write(cx, buf, timeout);
        this.note_if_stalled(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.arm_reset();
        let timeout = this.write_timeout();
        let written = this.socket.poll_write_vectored(cx, bufs, timeout);
        this.note_if_stalled(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }

    /// hyper calls this when its own buffer is empty: all is with the kernel.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.socket.poll_flush(cx))?;
        if matches!(this.state, State::Answering { is_read: false })
            && this
                .caller_watch
                .poll_left(cx, this.socket.get_ref())
                .is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let mut wakes = this.connection_state.note_flush();
        if matches!(this.state, State::Answering { .. })
            && this.connection_state.exchanges_ended() >= this.inbound.heads()
        {
            this.on(Event::Answered);
            if !this.inbound.has_buffered() {
                this.connection_state.become_idle(this.permit.tick());
            }
            wakes |= this.inbound.has_buffered() || this.inbound.is_over();
        }
        if wakes {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}

//! How a caller's connection ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use super::socket::{CallerSocket, GuardedSocket};
use super::state::{Event, State};
use super::{Downstream, MAX_READ, SCRATCH};

impl<S: CallerSocket> Downstream<S> {
    /// Our final response if there is one, the end of our side, and the wait for a
    /// caller that is still sending.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let timeout = self.write_timeout();
            match &mut self.state {
                State::Rejecting(_, Some(response)) if response.has_remaining() => {
                    let written = ready!(self.socket.poll_write(cx, response, timeout))?;
                    response.advance(written);
                }
                State::Idle(_)
                | State::Answering { .. }
                | State::Rejecting(..)
                | State::Expired => {
                    ready!(self.socket.poll_shutdown(cx))?;
                    self.on(if self.inbound.is_unfinished() {
                        Event::ShutDownMidRequest
                    } else {
                        Event::ShutDown
                    });
                }
                State::Lingering(until) => {
                    ready!(poll_linger(&mut self.socket, until, cx));
                    self.on(Event::LingerOver);
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Reads and discards what a caller still sends, until it has seen our
/// end of the connection or its time is up: closing with unread bytes would
/// reset the connection under the answer (RFC 9112, section 9.6).
fn poll_linger(
    socket: &mut GuardedSocket<impl CallerSocket>,
    until: &mut Pin<Box<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let mut scratch = [0; SCRATCH];
    loop {
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut buf = ReadBuf::new(&mut scratch);
        match ready!(socket.poll_read(cx, &mut buf, MAX_READ)) {
            Ok(()) if buf.filled().is_empty() => return Poll::Ready(()),
            Ok(()) => {}
            Err(_) => return Poll::Ready(()),
        }
    }
}

//! The caller's connection, between the socket and hyper.
//!
//! Three things hyper leaves to its transport are done here. Heads are read
//! strictly before hyper gets them (`downstream/head.rs`), one at a time: what comes
//! behind a request waits until it is answered, while the socket is still read,
//! so that a caller that leaves is noticed. Where hyper does not read, because nobody
//! takes the body, the caller is looked for (`caller_watch.rs`). A bad head is answered
//! by us. Flushes are counted, so that a response body knows when its last bytes are out.
//! And the end of a connection is made to say what it means: a reset where a plain close
//! would pass for a complete answer (`socket.rs`), a close that waits for the caller where
//! it is still sending and would lose our answer to a reset.
//!
//! What of that happens when is a state machine (`state.rs`). This file reads, writes and
//! tells it what came of that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use codex_deadline::Deadline;
use tokio::io::{AsyncRead, ReadBuf};

use crate::access::peer_users::PeerUsers;
use crate::downstream::connection_limit::ConnectionPermit;
use crate::downstream::connection_state::ConnectionState;
use crate::downstream::head::Inbound;
use crate::downstream::head_error::HeadError;
use crate::net::socket::Socket;
use crate::observe::observer::Observer;
use crate::observe::outcome::Outcome;
use crate::observe::record::OpenRecord;
use crate::refusal::Refusal;

mod caller_watch;
mod end;
mod socket;
mod state;
mod write;

use caller_watch::CallerWatch;
use socket::{CallerSocket, GuardedSocket};
use state::{Awaited, Event, State};

/// How much may come behind a request and be discarded before the connection is
/// cut, in bytes: a caller that goes on sending all the same does not speak HTTP.
const MAX_DISCARDED: usize = 1024 * 1024;

/// So many bytes are read at once, which is also what bounds hyper's buffer for a body: it doubles what it
/// makes room for, from 8 KiB on, whenever a read fills it.
const MAX_READ: u64 = 16 * 1024 - 1;
/// The same where the body comes in chunks: small ones take room of their own besides.
const MAX_READ_OF_CHUNKS: u64 = 8 * 1024 - 1;

/// So many bytes are read at once while there is no hyper yet, and where they are discarded.
const SCRATCH: usize = 4096;

/// A head up to this long is buffered whatever other connections buffer, in bytes.
const SMALL_HEAD: usize = 8 * 1024;

/// A caller's connection. `S` is another type only in tests.
pub(crate) struct Downstream<S = Socket> {
    socket: GuardedSocket<S>,
    inbound: Inbound,
    state: State,
    /// For what an idle connection awaits. Made once: a timer takes an allocation.
    read_timeout: Option<Deadline>,
    caller_watch: CallerWatch,
    connection_state: Arc<ConnectionState>,
    permit: ConnectionPermit,
    /// At the other end of the connection, where the kernel tells.
    user: Option<u32>,
    observer: Observer,
    header_timeout: Duration,
}

impl<S: CallerSocket> Downstream<S> {
    pub(crate) fn new(
        socket: S,
        connection_state: Arc<ConnectionState>,
        permit: ConnectionPermit,
        callers: Arc<PeerUsers>,
        user: Option<u32>,
        observer: Observer,
        header_timeout: Duration,
    ) -> Self {
        Self {
            socket: GuardedSocket::new(socket),
            inbound: Inbound::new(),
            state: State::default(),
            read_timeout: None,
            caller_watch: CallerWatch::new(callers),
            connection_state,
            permit,
            user,
            observer,
            header_timeout,
        }
    }

    fn on(&mut self, event: Event) {
        self.state = std::mem::take(&mut self.state).after(event);
        if let State::Rejecting(error, response @ None) = &mut self.state {
            let refusal = Refusal::from(*error);
            let record = refusal.record(&self.observer, self.user);
            *response = Some(refusal.to_http1(&record).into());
        }
    }

    /// Reads until the first head is there, before there is anything else to serve
    /// the connection: one that never gets there costs next to nothing.
    ///
    /// False if there is nothing to serve.
    pub(crate) async fn receive(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut scratch = [0; SCRATCH];
        loop {
            match self.state {
                State::Idle(_) => {}
                // Whoever has sent nothing loses nothing by a close.
                State::Expired => return Poll::Ready(false),
                _ => {
                    let _ended = ready!(self.poll_end(cx));
                    return Poll::Ready(false);
                }
            }
            if self.inbound.is_ready() {
                return Poll::Ready(true);
            }
            let mut buf = ReadBuf::new(&mut scratch);
            match self.socket.poll_read(cx, &mut buf, MAX_READ) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    match self.inbound.buffer(buf.filled()) {
                        Ok(()) => self.account_for_buffered(),
                        Err(error) => self.on(Event::HeadRefused(error)),
                    }
                }
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => ready!(self.poll_read_timeout(cx)),
            }
        }
    }

    /// Called when nothing more could be read. Ready when an idle connection has been waited for
    /// long enough, and is idle no longer.
    fn poll_read_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Idle(before) = self.state else {
            return Poll::Pending;
        };
        let awaited = Awaited::by(&self.inbound);
        if awaited != before {
            // Looked at, and no request was there: it may be evicted.
            self.connection_state.become_idle(self.permit.tick());
            self.on(Event::NothingRead(awaited));
        }
        let timeout = awaited.timeout(self.header_timeout);
        let deadline = self
            .read_timeout
            .get_or_insert_with(|| Deadline::after(timeout));
        if !awaited.continues(before) {
            deadline.put_off(timeout);
        }
        ready!(Pin::new(deadline).poll(cx));
        self.on(Event::TimedOut);
        Poll::Ready(())
    }

    /// Passes on what was buffered and may be by now; true if there was any.
    fn pass_buffered(&mut self, buf: &mut ReadBuf<'_>) -> Result<bool, HeadError> {
        let sink = |bytes: &[u8]| {
            let len = bytes.len().min(buf.remaining());
            // What is not put there has not been moved.
            bytes.get(..len).map_or(0, |bytes| {
                buf.put_slice(bytes);
                len
            })
        };
        self.inbound.pass_on(sink, self.state.is_idle())
    }

    /// To be called whenever something has arrived or is passed on: if a head became complete by
    /// that, the connection is busy.
    ///
    /// # Errors
    ///
    /// When the connection was evicted before the head came: its slot is somebody else's, its task
    /// ends at the next turn, and nothing of the request may go up.
    fn note_progress(&mut self) -> io::Result<()> {
        // While it is idle all others are answered.
        let is_head = self.inbound.heads() > self.connection_state.exchanges_ended();
        if is_head && self.state.is_idle() {
            if !self.connection_state.become_busy() {
                OpenRecord::begin(&self.observer, self.user, None).conclude(Outcome::Evicted);
                self.connection_state.note_recorded();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.on(Event::HeadComplete);
        }
        self.account_for_buffered();
        Ok(())
    }

    /// Tells the limit what is buffered of unfinished heads; refuses this one if that is
    /// too much in all and it is not a small one.
    fn account_for_buffered(&mut self) {
        let unfinished = self.inbound.unfinished();
        let is_too_much = self.permit.buffer(unfinished);
        // Behind a request that is being answered it is left alone: no more is read
        // there than one head.
        if is_too_much && unfinished > SMALL_HEAD && self.state.is_idle() {
            self.on(Event::HeadRefused(HeadError::Crowded));
        }
    }
}

impl<S> Drop for Downstream<S> {
    /// hyper asks nobody for an answer if it finds the end of the connection right behind a head. So the records of
    /// such requests are made here.
    fn drop(&mut self) {
        let heads = self.inbound.heads();
        for _ in self.connection_state.recorded()..heads {
            drop(OpenRecord::begin(&self.observer, self.user, None));
        }
    }
}

impl<S: CallerSocket> AsyncRead for Downstream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.state.note_read(false);
        let before = buf.filled().len();
        while this.state.reads() {
            match this.pass_buffered(buf) {
                Ok(true) => {
                    let progress = this.note_progress();
                    return Poll::Ready(progress.inspect_err(|_| buf.set_filled(before)));
                }
                Ok(false) => {}
                Err(error) => {
                    this.on(Event::HeadRefused(error));
                    continue;
                }
            }
            if this.inbound.is_broken() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if this.inbound.is_over() && this.state.is_idle() {
                return Poll::Ready(Ok(()));
            }
            let most = if this.inbound.is_chunked() {
                MAX_READ_OF_CHUNKS
            } else {
                MAX_READ
            };
            match this.socket.poll_read(cx, buf, most) {
                Poll::Ready(read) => read.inspect_err(|_| this.connection_state.note_reset())?,
                Poll::Pending => {
                    this.state.note_read(true);
                    ready!(this.poll_read_timeout(cx));
                    continue;
                }
            }
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let arrived = this.inbound.arrive(fresh, this.state.is_idle());
            buf.set_filled(before);
            match arrived {
                Ok(passed) => {
                    this.note_progress()?;
                    buf.set_filled(before + passed);
                    if passed > 0 {
                        return Poll::Ready(Ok(()));
                    }
                    if this.inbound.discarded() > MAX_DISCARDED {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                    }
                }
                Err(error) => this.on(Event::HeadRefused(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;

//! Connections that get one answer of ours and no slot.
//!
//! Callers that are not served must not cost those that are: such a connection is answered once,
//! read to its end for a moment, and closed.

use std::time::Duration;

use codex_deadline::within;

use crate::net::socket::Socket;
use crate::observe::observer::Observer;
use crate::refusal::Refusal;

/// How long such a connection is read after its answer: closed with unread bytes, it
/// would be reset under the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// How much of it is read, in bytes.
const MAX_READ: usize = 4 * 1024 * 1024;

/// A connection that has not had its answer yet. Dropped before that, it gets it in the
/// last moment.
pub(crate) struct Unanswered {
    waiting: Option<(Socket, Refusal)>,
    user: Option<u32>,
    observer: Observer,
}

impl Unanswered {
    /// Of `user`, if it is known whose it is.
    pub(crate) fn new(
        socket: Socket,
        refusal: Refusal,
        user: Option<u32>,
        observer: Observer,
    ) -> Self {
        Self {
            waiting: Some((socket, refusal)),
            user,
            observer,
        }
    }

    /// Takes the connection back, which then gets no answer from here.
    pub(crate) fn take(mut self) -> Option<Socket> {
        self.waiting.take().map(|(socket, _)| socket)
    }

    /// Answers as soon as something of a request is there, within `timeout`, and closes;
    /// a connection that sends nothing is closed without an answer.
    pub(crate) async fn answer_when_asked(mut self, timeout: Duration) {
        if let Some((socket, _)) = &self.waiting {
            let asked = within(timeout, socket.readable()).await;
            if asked.is_none() {
                self.waiting = None;
            }
        }
        self.answer_now().await;
    }

    /// Answers, and closes.
    pub(crate) async fn answer_now(mut self) {
        if let Some(socket) = self.answer()
            && socket.shut_down_writing().is_ok()
        {
            let _ = tokio::time::timeout(LINGER, read_to_end(&socket)).await;
        }
    }

    fn answer(&mut self) -> Option<Socket> {
        let (socket, refusal) = self.waiting.take()?;
        let record = refusal.record(&self.observer, self.user);
        // As much of it as the socket takes, which has taken nothing before.
        let _ = socket.try_write(&refusal.to_http1(&record));
        Some(socket)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let _closed = self.answer();
    }
}

async fn read_to_end(socket: &Socket) {
    let mut scratch = [0; 4096];
    let mut read = 0;
    while read < MAX_READ && socket.readable().await.is_ok() {
        match socket.try_read(&mut scratch) {
            Ok(0) => return,
            Ok(more) => read += more,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        // A caller that sends without a pause must not make others wait.
        tokio::task::yield_now().await;
    }
}

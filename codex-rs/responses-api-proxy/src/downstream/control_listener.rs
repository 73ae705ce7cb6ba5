//! The control socket: questions of those who may ask, each a line, answered on a thread of its own.
//!
//! `codex-control` has the protocol. No caller's request comes here and no key is within reach of it. Whoever may not
//! ask is told so and closed, before a byte is read.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use codex_control::Status;
use codex_control::protocol::{
    Answer, Ask, MALFORMED, MAX_QUESTION, NOT_ALLOWED, Question, Stopping, UNKNOWN_QUESTION,
    to_line,
};
use codex_deadline::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::access::peer_users::PeerUsers;
use crate::downstream::listener_thread::ListenerThread;
use crate::downstream::newest_tasks::NewestTasks;
use crate::lifecycle::shutdown::Shutdown;
use crate::net::listeners::{BoundListener, Listeners};
use crate::net::socket::Socket;
use crate::observe::stderr;

/// How many are answered at once; for the next the oldest is closed of whichever user has most.
const MOST_AT_ONCE: usize = 8;

/// How long a question may take, and how long nothing may be asked; without a limit once the connection was used to
/// tell the proxy to end.
const QUESTION: Duration = Duration::from_secs(30);

/// How long an answer may take to be read.
const ANSWER: Duration = Duration::from_secs(5);

/// After an answer: so many a second are enough for one connection.
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Descriptors that all of this takes: the runtime's, the listener's, and those of connections.
pub(crate) const DESCRIPTORS: u64 = 16;

/// What questions are answered by.
pub(crate) struct Control {
    /// Who may ask.
    pub(crate) allowed: Vec<u32>,
    /// How the proxy is now; with requests in flight one by one, if they are wanted.
    pub(crate) status: Box<dyn Fn(bool) -> Status + Send + Sync>,
    /// Requests in flight.
    pub(crate) in_flight: Box<dyn Fn() -> usize + Send + Sync>,
    pub(crate) shutdown: Shutdown,
    pub(crate) drain_timeout: Duration,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// Answers until this is dropped. `users` tell whose a connection is.
///
/// # Errors
///
/// When there is no thread, no descriptor to poll with, or a listener that cannot be polled.
pub(crate) fn start(
    listener: BoundListener,
    users: Arc<PeerUsers>,
    control: Control,
) -> io::Result<ListenerThread> {
    ListenerThread::start("control", listener, move |listeners| {
        accept(listeners, users, Arc::new(control))
    })
}

/// Accepts for ever.
async fn accept(listeners: Listeners, users: Arc<PeerUsers>, control: Arc<Control>) -> Infallible {
    let mut open = NewestTasks::new(MOST_AT_ONCE);
    loop {
        let Ok(socket) = listeners.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let user = users.user_of(&socket);
        if user.is_some_and(|user| control.allowed.contains(&user)) {
            open.add_of(user, converse(socket, user, Arc::clone(&control)));
        } else {
            refuse(&socket, user);
        }
        // Of many that come at once each has a turn before the next ones end it.
        tokio::task::yield_now().await;
    }
}

/// Without waiting: there is room for a line in a socket that is new.
fn refuse(socket: &Socket, user: Option<u32>) {
    let whose = user.map_or_else(|| "you".to_owned(), |user| format!("user {user}"));
    let refused = Answer::refused(
        NOT_ALLOWED,
        format!(
            "{whose} may not ask this proxy; root may, the user that it runs as, and the user that started it (try \
             sudo)"
        ),
    );
    if let Ok(line) = to_line(&refused) {
        let _ = socket.try_write(&line);
    }
}

/// Answers one question after the other, until there are no more.
async fn converse(mut socket: Socket, user: Option<u32>, control: Arc<Control>) {
    let mut buffered = Vec::with_capacity(MAX_QUESTION);
    let mut is_told_to_end = false;
    loop {
        let next = next_line(&mut socket, &mut buffered);
        // Whoever told the proxy to end may wait for it: who does not see the process, for the end of this connection.
        let line = match is_told_to_end {
            true => next.await,
            false => within(QUESTION, next).await.flatten(),
        };
        let Some(line) = line else {
            return;
        };
        let (answer, then) = match line {
            Some(line) => control.answer(&line),
            None => (too_long(), Then::Close),
        };
        is_told_to_end |= matches!(then, Then::Stop);
        // Whatever becomes of the connection, it was told.
        let end = match then {
            Then::Stop => {
                let user = user.unwrap_or_default();
                stderr::line(format_args!(
                    "told to end on the control socket, by user {user}"
                ));
                Some(AdvanceAtTheEnd(&control.shutdown))
            }
            Then::GoOn | Then::Close => None,
        };
        let Ok(line) = to_line(&answer) else {
            return;
        };
        let is_written = within(ANSWER, socket.write_all(&line)).await;
        if !matches!(is_written, Some(Ok(()))) || matches!(then, Then::Close) {
            return;
        }
        drop(end);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The next line, or `Some(None)` if it is too long; `None` at the end.
async fn next_line(socket: &mut Socket, buffered: &mut Vec<u8>) -> Option<Option<Vec<u8>>> {
    loop {
        if let Some(end) = buffered.iter().position(|&byte| byte == b'\n') {
            let rest = buffered.split_off(end + 1);
            return Some(Some(std::mem::replace(buffered, rest)));
        }
        let room = MAX_QUESTION.saturating_sub(buffered.len());
        if room == 0 {
            return Some(None);
        }
        let mut limited = (&mut *socket).take(u64::try_from(room).unwrap_or(0));
        match limited.read_buf(buffered).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn too_long() -> Answer {
    let message = format!("a question has at most {MAX_QUESTION} bytes");
    Answer::refused(MALFORMED, message)
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
    /// The proxy ends.
    Stop,
}

/// Tells the proxy to end when this is dropped.
struct AdvanceAtTheEnd<'a>(&'a Shutdown);

impl Drop for AdvanceAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.advance();
    }
}

impl Control {
    fn answer(&self, line: &[u8]) -> (Answer, Then) {
        let Ok(question) = serde_json::from_slice::<Question>(line) else {
            let message = "a question is a line such as {\"v\":1,\"ask\":\"status\"}";
            return (Answer::refused(MALFORMED, message), Then::Close);
        };
        match question.ask {
            Ask::Status => (Answer::status((self.status)(question.streams)), Then::GoOn),
            Ask::Stop => (Answer::stopping(self.stopping()), Then::Stop),
            Ask::Unknown => {
                let message = "this version answers `status` and `stop`";
                (Answer::refused(UNKNOWN_QUESTION, message), Then::GoOn)
            }
        }
    }

    fn stopping(&self) -> Stopping {
        let drain_seconds = match self.shutdown.is_begun() {
            true => 0.0,
            false => self.drain_timeout.as_secs_f64(),
        };
        Stopping {
            pid: std::process::id(),
            in_flight: u64::try_from((self.in_flight)()).unwrap_or(u64::MAX),
            drain_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control {
            allowed: vec![0],
            status: Box::new(|streams| Status {
                streams: streams.then(Vec::new),
                pid: 7,
                ..Status::default()
            }),
            in_flight: Box::new(|| 3),
            shutdown: Shutdown::new(),
            drain_timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_question_is_answered_and_anything_else_is_refused() {
        let control = control();
        let (answer, then) = control.answer(b"{\"v\":1,\"ask\":\"status\",\"streams\":true}\n");
        assert_eq!(then, Then::GoOn);
        assert!(answer.status.unwrap().streams.is_some());
        for (line, code, expected) in [
            (
                &b"{\"v\":1,\"ask\":\"reload\"}\n"[..],
                UNKNOWN_QUESTION,
                Then::GoOn,
            ),
            (b"GET / HTTP/1.1\r\n", MALFORMED, Then::Close),
            (b"\n", MALFORMED, Then::Close),
            (b"\xff\n", MALFORMED, Then::Close),
        ] {
            let (answer, then) = control.answer(line);
            assert_eq!(
                (answer.error.unwrap().code.as_str(), then),
                (code, expected)
            );
        }
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn whoever_told_it_to_end_may_stay_until_then() {
        use tokio::io::{AsyncBufReadExt, BufReader};

        let begin = || {
            let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
            let theirs = converse(Socket::Unix(theirs), None, Arc::new(control()));
            (BufReader::new(ours), tokio::spawn(theirs))
        };
        async fn ask(stream: &mut BufReader<tokio::net::UnixStream>, what: &str) -> usize {
            let question = format!("{{\"v\":1,\"ask\":\"{what}\"}}\n");
            // It may be closed.
            let _ = stream.write_all(question.as_bytes()).await;
            stream.read_line(&mut String::new()).await.unwrap_or(0)
        }
        for (first, stays) in [("stop", true), ("status", false)] {
            let (mut stream, task) = begin();
            assert!(ask(&mut stream, first).await > 0);
            tokio::time::sleep(QUESTION * 3).await;
            assert_eq!(ask(&mut stream, "status").await > 0, stays, "{first}");
            drop(stream);
            task.await.unwrap();
        }
    }

    #[test]
    fn the_first_stop_drains_and_the_next_one_does_not() {
        let control = control();
        let stop = || {
            let (answer, then) = control.answer(b"{\"v\":1,\"ask\":\"stop\"}");
            assert_eq!(then, Then::Stop);
            let stopping = answer.stopping.unwrap();
            drop(AdvanceAtTheEnd(&control.shutdown));
            (stopping.in_flight, stopping.drain_seconds)
        };
        assert_eq!(stop(), (3, 10.0));
        assert!(control.shutdown.is_begun());
        assert_eq!(stop(), (3, 0.0));
    }
}

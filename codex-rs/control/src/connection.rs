//! One connection to a control socket: questions and answers, each with a time limit.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::ControlError;
use crate::protocol::{Answer, Ask, MAX_ANSWER, Question, Stopping, VERSION, to_line};
use crate::status::Status;

/// How long an answer may take.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a proxy.
#[derive(Debug)]
pub(crate) struct Connection {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    timeout: Duration,
    /// The process that listened, if the kernel says.
    listener: Option<u32>,
}

impl Connection {
    /// Connects. An answer may take so long, the first one from now.
    ///
    /// # Errors
    ///
    /// Why nobody is there.
    pub(crate) fn open(path: &Path, timeout: Duration) -> Result<Self, ControlError> {
        let at = || path.to_owned();
        let stream = connect(path, timeout).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ControlError::NoSocket(at()),
            io::ErrorKind::PermissionDenied => ControlError::Denied(at()),
            io::ErrorKind::ConnectionRefused if is_socket(path) => {
                ControlError::NobodyListens(at())
            }
            io::ErrorKind::ConnectionRefused => ControlError::NotASocket(at()),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ControlError::Silent(at(), timeout)
            }
            _ => ControlError::Io(at(), error),
        })?;
        let listener = listener(&stream);
        Ok(Self {
            path: at(),
            stream: BufReader::new(stream),
            timeout,
            listener,
        })
    }

    /// The process that listened when this was connected: as this process numbers it, which in a container of its own
    /// the proxy does not know. With a socket that was passed to the proxy it may be whoever listened before.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "not told there"))]
    pub(crate) fn listener(&self) -> Option<u32> {
        self.listener
    }

    /// How the proxy is.
    ///
    /// # Errors
    ///
    /// It refuses, or does not answer.
    pub(crate) fn status(&mut self, streams: bool) -> Result<Status, ControlError> {
        let answer = self.ask(&Question::new(Ask::Status, streams))?;
        let status = answer.status.ok_or_else(|| self.no_answer())?;
        Ok(*status)
    }

    /// Tells it to end.
    ///
    /// # Errors
    ///
    /// It refuses, or does not answer.
    pub(crate) fn stop(&mut self) -> Result<Stopping, ControlError> {
        let answer = self.ask(&Question::new(Ask::Stop, false))?;
        answer.stopping.ok_or_else(|| self.no_answer())
    }

    /// Waits until the other side has closed, so long at most; whether it has.
    pub(crate) fn closed_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut byte = [0];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.set_timeout(left).is_err() {
                return false;
            }
            match self.stream.read(&mut byte) {
                Ok(0) => return true,
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
                Ok(_) => {}
            }
        }
    }

    fn ask(&mut self, question: &Question) -> Result<Answer, ControlError> {
        let until = Instant::now() + self.timeout;
        let line = to_line(question).map_err(|_| self.no_answer())?;
        // Whoever may not ask is told so and closed, perhaps before the question is there: then that is the answer.
        let written = self.stream.get_mut().write_all(&line);
        let line = match self.read_line(until) {
            Ok(line) => line,
            Err(ControlError::NotAnAnswer(_)) if written.is_err() => {
                return Err(self.failed(written.err().unwrap_or_else(closed)));
            }
            Err(error) => return Err(error),
        };
        let answer: Answer = serde_json::from_slice(&line).map_err(|_| self.no_answer())?;
        if let Some(refused) = answer.error {
            return Err(ControlError::Refused(refused.message));
        }
        if answer.v > VERSION {
            let message = format!(
                "it speaks version {} of the protocol, and this program version {VERSION}; use the program that the \
                 proxy was started by",
                answer.v
            );
            return Err(ControlError::Refused(message));
        }
        Ok(answer)
    }

    fn read_line(&mut self, until: Instant) -> Result<Vec<u8>, ControlError> {
        let mut line = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ControlError::Silent(self.path.clone(), self.timeout));
            }
            self.set_timeout(left).map_err(|error| self.failed(error))?;
            let arrived = match self.stream.fill_buf() {
                Ok(arrived) => arrived,
                Err(error) if is_timeout(&error) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            let end = arrived.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(arrived.len(), |end| end + 1);
            if taken == 0 || line.len() + taken > MAX_ANSWER {
                return Err(self.no_answer());
            }
            line.extend_from_slice(arrived.get(..taken).unwrap_or_default());
            self.stream.consume(taken);
            if end.is_some() {
                return Ok(line);
            }
        }
    }

    fn set_timeout(&self, left: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(left))
    }

    fn no_answer(&self) -> ControlError {
        ControlError::NotAnAnswer(self.path.clone())
    }

    fn failed(&self, error: io::Error) -> ControlError {
        ControlError::Io(self.path.clone(), error)
    }
}

fn closed() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// What a time limit of a socket is reported as (socket(7), SO_RCVTIMEO).
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where so many wait to be accepted that there is no room, connect(2) keeps to this too.
    socket.set_write_timeout(Some(timeout.max(Duration::from_millis(1))))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Whoever called listen(2) last (SO_PEERCRED, unix(7)).
#[cfg(target_os = "linux")]
fn listener(stream: &UnixStream) -> Option<u32> {
    codex_process_hardening::peer_of(stream).ok()?.process
}

#[cfg(not(target_os = "linux"))]
fn listener(_stream: &UnixStream) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// What a question gets from a socket that reads it and then says this.
    fn answered_by(reply: &'static [u8], stays: bool) -> Result<Status, ControlError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 64];
            let read = stream.read(&mut question).unwrap();
            assert!(question[..read].ends_with(b"}\n"));
            stream.write_all(reply).unwrap();
            // Until the other side has given up.
            if stays {
                let _ = stream.read(&mut question);
            }
        });
        let status = Connection::open(&path, SHORT).unwrap().status(false);
        server.join().unwrap();
        status
    }

    #[test]
    fn an_answer_is_a_line_and_what_is_none_is_said_to_be() {
        let status = answered_by(b"{\"v\":1,\"status\":{\"pid\":7}}\n", true);
        assert_eq!(status.unwrap().pid, 7);
        for wrong in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"{}\n",
            b"{\"v\":1,\"stopping\":{\"pid\":1,\"in_flight\":0,\"drain_seconds\":1}}\n",
            b"",
        ] {
            let error = answered_by(wrong, false).unwrap_err();
            assert!(matches!(error, ControlError::NotAnAnswer(_)), "{error}");
        }
        let refused = b"{\"v\":1,\"error\":{\"code\":\"not_allowed\",\"message\":\"no\\u001b\"}}\n";
        let error = answered_by(refused, false).unwrap_err();
        assert_eq!(error.to_string(), "the proxy refuses: no\\u{1b}");
        let later = answered_by(b"{\"v\":2,\"status\":{}}\n", false).unwrap_err();
        assert!(later.to_string().contains("version 2"), "{later}");
    }

    #[test]
    fn nobody_waits_for_an_answer_that_does_not_come() {
        for slow in [&b""[..], b"{\"v\":1,"] {
            let error = answered_by(slow, true).unwrap_err();
            assert!(matches!(error, ControlError::Silent(..)), "{error}");
        }
    }

    #[test]
    fn an_error_says_what_is_at_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| Connection::open(&dir.path().join(name), SHORT).unwrap_err();
        assert!(matches!(open("none"), ControlError::NoSocket(_)));
        drop(UnixListener::bind(dir.path().join("dead")).unwrap());
        assert!(matches!(open("dead"), ControlError::NobodyListens(_)));
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(open("file"), ControlError::NotASocket(_)));
    }
}

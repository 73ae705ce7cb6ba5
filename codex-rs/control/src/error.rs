//! Why a proxy was not asked, or has not answered.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::amounts::{plural, span};
use crate::printable::printable;

/// Why a command on a running proxy failed. Each says what to type next.
#[derive(Debug)]
pub enum ControlError {
    /// There is no such socket.
    NoSocket(PathBuf),
    /// Nobody listens on it any more.
    NobodyListens(PathBuf),
    /// Something else is there.
    NotASocket(PathBuf),
    /// This user may not connect.
    Denied(PathBuf),
    /// The proxy refuses to answer, with this sentence.
    Refused(String),
    /// It has not answered in time.
    Silent(PathBuf, Duration),
    /// What came is no answer of a proxy.
    NotAnAnswer(PathBuf),
    /// The connection failed.
    Io(PathBuf, io::Error),
    /// The server info does not lead to a proxy that runs.
    NotThere(String),
    /// The server info cannot be used.
    ServerInfo(codex_server_info::ReadError),
    /// The proxy has no control socket; where it listens, and its process.
    NoControl(String, u32),
    /// It was not ready in time; what was waited for.
    NotReady(String, Duration),
    /// It was told to end and has not.
    StillRuns {
        /// Its process.
        pid: u32,
        /// How long it was waited for.
        waited: Duration,
        /// Answers that were in flight when it was told.
        in_flight: u64,
    },
    /// Whether the process has ended cannot be found out.
    Process(u32, io::Error),
    /// What was found out cannot be printed.
    Output(io::Error),
    /// The terminal cannot be used, or there is none.
    Terminal(io::Error),
    /// There is none of it on this system.
    Unsupported,
}

impl ControlError {
    /// No proxy runs, as far as can be told.
    #[must_use]
    pub fn is_not_running(&self) -> bool {
        matches!(
            self,
            Self::NoSocket(_) | Self::NobodyListens(_) | Self::NotThere(_)
        )
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket(path) => write!(
                f,
                "no proxy is running at unix:{path}: there is no such socket; start one with \
                 `codex responses-api-proxy --control unix:{path}`, or name the socket of another one with --control",
                path = path.display()
            ),
            Self::NobodyListens(path) => write!(
                f,
                "no proxy is running at unix:{}: it is a socket that a proxy has left behind; start the proxy anew",
                path.display()
            ),
            Self::NotASocket(path) => write!(
                f,
                "{} is not a socket; name the socket that the proxy was given by its --control",
                path.display()
            ),
            Self::Denied(path) => write!(
                f,
                "unix:{}: permission denied; ask as root (sudo), or as the user that the proxy runs as",
                path.display()
            ),
            Self::Refused(message) => write!(f, "the proxy refuses: {}", printable(message)),
            Self::Silent(path, waited) => write!(
                f,
                "the proxy at unix:{} has not answered within {}; if it is still starting, `codex \
                 responses-api-proxy wait` waits for it",
                path.display(),
                span(waited.as_secs_f64())
            ),
            Self::NotAnAnswer(path) => write!(
                f,
                "what listens on unix:{} does not answer as a proxy does; name the socket that the proxy was given \
                 by its --control",
                path.display()
            ),
            Self::Io(path, _) => write!(f, "unix:{}", path.display()),
            Self::NotThere(cause) => f.write_str(cause),
            Self::ServerInfo(error) => error.fmt(f),
            Self::NoControl(address, pid) => write!(
                f,
                "the proxy on {address} (process {pid}) has no control socket; start it with --control unix:/PATH"
            ),
            Self::NotReady(what, waited) => write!(
                f,
                "no proxy was ready within {}: {what}; see what it wrote to standard error, or wait longer with \
                 --timeout",
                span(waited.as_secs_f64())
            ),
            Self::StillRuns {
                pid,
                waited,
                in_flight,
            } => write!(
                f,
                "process {pid} was told to end and still runs after {}, with {} in flight at first; `stop` once more \
                 ends it at once",
                span(waited.as_secs_f64()),
                plural(*in_flight, "answer")
            ),
            Self::Process(pid, _) => {
                write!(f, "whether process {pid} has ended cannot be found out")
            }
            Self::Output(_) => f.write_str("cannot write to standard output"),
            Self::Terminal(_) => f.write_str(
                "`top` needs a terminal for its standard output; `status` prints the same once",
            ),
            Self::Unsupported => f.write_str("there are no control sockets on this system"),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, cause)
            | Self::Process(_, cause)
            | Self::Output(cause)
            | Self::Terminal(cause) => Some(cause),
            Self::ServerInfo(error) => error.source(),
            _ => None,
        }
    }
}

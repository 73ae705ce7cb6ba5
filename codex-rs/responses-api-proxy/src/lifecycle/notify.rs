//! Tells a service manager how the proxy does (sd_notify(3)): a datagram to the socket that `NOTIFY_SOCKET` names.
//!
//! The socket is connected before there is a sandbox, in which no process gets another one. What is sent says what is
//! listened on and how many requests are in flight; nothing of a caller, and nothing of the key.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::time::{ClockId, clock_gettime};

use crate::config::environment::{self, NOTIFY_SOCKET, NotText, WATCHDOG_PID, WATCHDOG_USEC};

/// How long a manager whose queue is full is waited for, once for what it has to know.
const PATIENCE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// What the end takes besides the drain.
const TIDYING: Duration = Duration::from_secs(10);

/// Why there is nobody to tell.
#[derive(Debug)]
pub(crate) enum NotifyError {
    Text(NotText),
    /// Neither a path nor a name of the abstract namespace.
    Form,
    Unreachable(io::Error),
    /// Not a number of microseconds, or none that is above 0.
    Interval,
    /// `WATCHDOG_PID` is not the number of a process.
    Pid,
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::Form => write!(
                f,
                "{NOTIFY_SOCKET} is neither an absolute path nor @ with a name; unset it"
            ),
            Self::Unreachable(_) => write!(
                f,
                "{NOTIFY_SOCKET} cannot be reached; start without it (env -u {NOTIFY_SOCKET}) where no service manager \
                 waits to be told"
            ),
            Self::Interval => write!(
                f,
                "{WATCHDOG_USEC} is not a number of microseconds; unset it"
            ),
            Self::Pid => write!(f, "{WATCHDOG_PID} is not the number of a process; unset it"),
        }
    }
}

impl std::error::Error for NotifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Whoever is told, if anybody is; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier(Option<Arc<Manager>>);

#[derive(Debug)]
struct Manager {
    socket: OwnedFd,
    /// The status that was sent last.
    status: Mutex<String>,
}

impl Notifier {
    /// Connects to what `NOTIFY_SOCKET` names; nobody is told anything without it.
    ///
    /// # Errors
    ///
    /// [`NotifyError`].
    pub(crate) fn from_environment() -> Result<Self, NotifyError> {
        let name = environment::text(NOTIFY_SOCKET).map_err(NotifyError::Text)?;
        name.map_or(Ok(Self::default()), |name| Self::to(&name))
    }

    fn to(name: &str) -> Result<Self, NotifyError> {
        let socket = UnixDatagram::unbound().map_err(NotifyError::Unreachable)?;
        let connected = match name.strip_prefix('@') {
            Some(name) => connect_abstract(&socket, name),
            None if name.starts_with('/') => socket.connect(name),
            None => return Err(NotifyError::Form),
        };
        connected.map_err(NotifyError::Unreachable)?;
        // rustix finds the clock in the vDSO (vdso(7)) when it is first asked, by a call that the sandbox refuses.
        let _ = monotonic_micros();
        Ok(Self(Some(Arc::new(Manager {
            socket: socket.into(),
            status: Mutex::default(),
        }))))
    }

    /// Whether anybody is told anything.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Connections are accepted, at the start or after [`reloading`](Self::reloading).
    pub(crate) fn ready(&self) {
        self.state("READY=1");
    }

    /// Files are about to be read again (`Type=notify-reload`).
    pub(crate) fn reloading(&self) {
        if !self.is_heard() {
            return;
        }
        let now = monotonic_micros();
        self.state(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// The end has begun, and may take as long as the `drain` and a moment.
    pub(crate) fn stopping(&self, drain: Duration) {
        let most = drain.saturating_add(TIDYING).as_micros();
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        self.state(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={most}"));
    }

    /// The threads that serve have had a turn.
    pub(crate) fn watchdog(&self) {
        self.send("WATCHDOG=1", false);
    }

    /// One line about what goes on; sent if it is another one than before.
    pub(crate) fn status(&self, line: &str) {
        let Some(manager) = &self.0 else {
            return;
        };
        // A newline would begin the next assignment.
        let line = line.replace(char::is_control, "?");
        let mut status = manager
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *status != line && self.send(&format!("STATUS={line}"), false) {
            *status = line;
        }
    }

    fn state(&self, text: &str) {
        self.send(text, true);
    }

    /// True if it was sent. Waits a moment for a manager that `has_to_know`.
    fn send(&self, text: &str, has_to_know: bool) -> bool {
        let Some(Manager { socket, .. }) = self.0.as_deref() else {
            return false;
        };
        let flags = SendFlags::DONTWAIT;
        // Elsewhere it has to do that Rust ignores SIGPIPE.
        #[cfg(not(target_vendor = "apple"))]
        let flags = flags | SendFlags::NOSIGNAL;
        let sent = match send(socket, text.as_bytes(), flags) {
            Err(Errno::AGAIN) if has_to_know => {
                let mut waited = [PollFd::new(socket, PollFlags::OUT)];
                let _ = poll(&mut waited, Some(&PATIENCE));
                send(socket, text.as_bytes(), flags)
            }
            sent => sent,
        };
        // One that has gone is told nothing, and has no use for it.
        sent.is_ok()
    }
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_socket: &UnixDatagram, _name: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// On the clock that a service manager compares it with (`CLOCK_MONOTONIC`).
fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Never negative.
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    part(now.tv_sec) * 1_000_000 + part(now.tv_nsec) / 1_000
}

/// How often a service manager has to be told that this process is well, if it wants to be (sd_watchdog_enabled(3)).
///
/// # Errors
///
/// [`NotifyError`].
pub(crate) fn watchdog_interval() -> Result<Option<Duration>, NotifyError> {
    let interval = environment::text(WATCHDOG_USEC).map_err(NotifyError::Text)?;
    let pid = environment::text(WATCHDOG_PID).map_err(NotifyError::Text)?;
    interval_for(interval.as_deref(), pid.as_deref(), std::process::id())
}

fn interval_for(
    interval: Option<&str>,
    pid: Option<&str>,
    own: u32,
) -> Result<Option<Duration>, NotifyError> {
    let pid = pid.map(|pid| pid.parse::<u32>().map_err(|_| NotifyError::Pid));
    let is_ours = pid.transpose()?.is_none_or(|pid| pid == own);
    let micros = |interval: &str| match interval.parse() {
        Ok(micros @ 1..) => Ok(Duration::from_micros(micros)),
        _ => Err(NotifyError::Interval),
    };
    let interval = interval.map(micros).transpose()?;
    Ok(interval.filter(|_| is_ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(by: &UnixDatagram) -> Option<String> {
        by.set_nonblocking(true).unwrap();
        let mut room = [0; 256];
        let length = by.recv(&mut room).ok()?;
        Some(String::from_utf8(room[..length].to_vec()).unwrap())
    }

    #[test]
    fn each_state_is_a_datagram_and_a_status_is_sent_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.to_str().unwrap()).unwrap();
        assert!(notifier.is_heard());
        notifier.ready();
        assert_eq!(heard(&manager).as_deref(), Some("READY=1"));
        let before = monotonic_micros();
        notifier.reloading();
        let reloading = heard(&manager).unwrap();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let since: u64 = since.unwrap().parse().unwrap();
        assert!((before..=monotonic_micros()).contains(&since));
        notifier.stopping(Duration::from_secs(20));
        let stopping = "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000";
        assert_eq!(heard(&manager).as_deref(), Some(stopping));
        for _ in 0..2 {
            notifier.status("requests in flight: 1");
        }
        let status = "STATUS=requests in flight: 1";
        assert_eq!(heard(&manager).as_deref(), Some(status));
        assert_eq!(heard(&manager), None);
    }

    #[test]
    fn a_manager_that_does_not_listen_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.to_str().unwrap()).unwrap();
        // More than its queue holds (net.unix.max_dgram_qlen).
        for number in 0..5_000 {
            notifier.status(&format!("requests in flight: {number}"));
        }
        while heard(&manager).is_some() {}
        notifier.status("requests in flight: 4999");
        assert!(heard(&manager).is_some(), "what was not sent is sent later");
        drop(manager);
        notifier.ready();
        Notifier::default().ready();
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for name in ["relative/path", "vsock:2:1234"] {
            assert!(
                matches!(Notifier::to(name), Err(NotifyError::Form)),
                "{name}"
            );
        }
        let nowhere = Notifier::to("/nowhere/notify");
        assert!(matches!(nowhere, Err(NotifyError::Unreachable(_))));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_without_a_file_is_reached() {
        use std::os::linux::net::SocketAddrExt;

        let name = format!("codex-notify-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::to(&format!("@{name}")).unwrap().ready();
        assert_eq!(heard(&manager).as_deref(), Some("READY=1"));
    }

    #[test]
    fn a_watchdog_is_for_one_process() {
        let interval = |interval, pid| interval_for(interval, pid, 42).ok();
        let second = Some(Duration::from_secs(1));
        assert_eq!(interval(Some("1000000"), None), Some(second));
        assert_eq!(interval(Some("1000000"), Some("42")), Some(second));
        assert_eq!(interval(Some("1000000"), Some("41")), Some(None));
        assert_eq!(interval(None, Some("42")), Some(None));
        for wrong in ["0", "-1", "1s"] {
            assert_eq!(interval(Some(wrong), None), None, "{wrong}");
        }
        assert_eq!(interval(Some("1"), Some("me")), None);
    }
}

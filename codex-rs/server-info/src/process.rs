//! Whether the proxy that wrote a server info is still there, and nobody else in its place.
//!
//! A proxy that is killed leaves its file behind, and its port is free for whoever comes: it would get
//! prompts, and the client token. So before anything is sent the process that the file names has to
//! live, and the listener has to be its user's, or root's, who may have started it and become another
//! user since. Its number may be another process's by now; one of a user who answers neither for the file
//! nor for this process has to be older than the file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_trusted_path::{SmallFile, Trusted};

use crate::format::Address;
use crate::listener::{tcp_listener, unix_listener};

/// How much later than its file a process may seem to have started: clocks of both are read one after
/// the other, and count hundredths of a second.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The process that wrote a server info, and where it said that it listens.
#[derive(Clone, Debug)]
pub struct ProxyProcess {
    file: PathBuf,
    pid: u32,
    address: Address,
    trusted: Trusted,
    written: SystemTime,
}

/// Why nothing should be sent there.
#[derive(Debug)]
pub struct ProxyGone {
    file: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// No such process.
    Dead(u32),
    /// A process of that number and of this user, who is a stranger, started after the file was written.
    Younger(u32, u32),
    /// Nobody listens there.
    NoListener(Address),
    /// The listener is this user's.
    Stranger(Address, u32),
    /// The system does not tell.
    Unknown(io::Error),
}

impl fmt::Display for ProxyGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server info {} is not used: ", self.file.display())?;
        match &self.cause {
            Cause::Dead(pid) => write!(
                f,
                "process {pid}, the proxy that wrote it, has gone, and whoever listens there now is \
                 another one; start the proxy anew"
            ),
            Cause::Younger(pid, user) => write!(
                f,
                "process {pid} of user {user} is younger than the file, so the proxy that wrote it has \
                 gone; start the proxy anew"
            ),
            Cause::NoListener(address) => write!(
                f,
                "nobody listens on {address}; is the proxy still running there? start it anew if not"
            ),
            Cause::Stranger(address, user) => write!(
                f,
                "the listener on {address} belongs to user {user}, and not to root or to the user of the \
                 proxy that wrote it; start the proxy anew, on another port"
            ),
            Cause::Unknown(error) => write!(
                f,
                "the system does not tell whether the proxy that wrote it is still there ({error})"
            ),
        }
    }
}

impl std::error::Error for ProxyGone {}

impl ProxyGone {
    /// Whether the proxy may be there all the same: the system does not tell.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.cause, Cause::Unknown(_))
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Unknown(error)
    }
}

impl ProxyProcess {
    /// The process `pid` that `found` says it is from, and that listens at `address`.
    pub(crate) fn new(path: &Path, found: &SmallFile, pid: u32, address: Address) -> Self {
        Self {
            file: path.to_owned(),
            pid,
            address,
            trusted: found.trusted.clone(),
            written: found.written,
        }
    }

    /// Whether what is sent there now goes to the proxy.
    ///
    /// # Errors
    ///
    /// [`ProxyGone`] says why not.
    pub fn verify(&self) -> Result<(), ProxyGone> {
        self.find().map_err(|cause| ProxyGone {
            file: self.file.clone(),
            cause,
        })
    }

    fn find(&self) -> Result<(), Cause> {
        let user = self.user()?;
        let listener = match &self.address {
            Address::Port(port) => tcp_listener(*port)?,
            Address::Socket(path) => unix_listener(path)?,
        };
        match listener {
            Some(owner) if owner == 0 || owner == user => Ok(()),
            Some(owner) => Err(Cause::Stranger(self.address.clone(), owner)),
            None => Err(Cause::NoListener(self.address.clone())),
        }
    }

    /// The user of the process.
    fn user(&self) -> Result<u32, Cause> {
        let status = match fs::read_to_string(format!("/proc/{}/status", self.pid)) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound && has_proc() => {
                return Err(Cause::Dead(self.pid));
            }
            Err(error) => return Err(error.into()),
        };
        let (is_dead, user) = state_and_user(&status).ok_or_else(unreadable)?;
        if is_dead {
            return Err(Cause::Dead(self.pid));
        }
        if !self.trusted.includes(user) && self.started()? > self.written + TOLERANCE {
            return Err(Cause::Younger(self.pid, user));
        }
        Ok(user)
    }

    /// When the process began, by the clock of the system, to a hundredth of a second or so.
    ///
    /// # Errors
    ///
    /// There is none of that number, or the system does not tell.
    pub fn started(&self) -> io::Result<SystemTime> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let uptime = fs::read_to_string("/proc/uptime")?;
        let ticks = start_in_ticks(&stat).ok_or_else(unreadable)?;
        let uptime = uptime.split_whitespace().next();
        let uptime: f64 = uptime
            .and_then(|seconds| seconds.parse().ok())
            .ok_or_else(unreadable)?;
        let age = Duration::try_from_secs_f64(uptime).map_err(|_| unreadable())?;
        let began = Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second());
        let ago = age.saturating_sub(began);
        SystemTime::now().checked_sub(ago).ok_or_else(unreadable)
    }
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

/// Whether processes of other users are shown at all, and a process that is not shown is not there.
fn has_proc() -> bool {
    // Of process 1, which always is.
    fs::metadata("/proc/1/status").is_ok()
}

fn unreadable() -> io::Error {
    io::Error::other("/proc is not as proc(5) has it")
}

/// `State` and the effective one of `Uid` in `/proc/PID/status` (`proc_pid_status(5)`).
fn state_and_user(status: &str) -> Option<(bool, u32)> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start())
    };
    let is_dead = field("State:")?.starts_with(['Z', 'X', 'x']);
    let user = field("Uid:")?.split_whitespace().nth(1)?;
    Some((is_dead, user.parse().ok()?))
}

/// `starttime` in `/proc/PID/stat` (`proc_pid_stat(5)`, field 22), in clock ticks since the system began.
fn start_in_ticks(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses, with anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_as_proc_shows_it() {
        let status = "Name:\tx\nState:\tS (sleeping)\nUid:\t0\t1000\t0\t0\n";
        assert_eq!(state_and_user(status), Some((false, 1000)));
        let zombie = "Name:\tState: S\nState:\tZ (zombie)\nUid:\t5\t5\t5\t5\n";
        assert_eq!(state_and_user(zombie), Some((true, 5)));
        assert_eq!(state_and_user("State:\tS\n"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711 99";
        assert_eq!(start_in_ticks(stat), Some(4711));
        assert_eq!(start_in_ticks("7 (a) S 1"), None);
    }

    fn process(pid: u32, trusted: Trusted, written: SystemTime) -> ProxyProcess {
        ProxyProcess {
            file: "/x".into(),
            pid,
            address: Address::Port(1),
            trusted,
            written,
        }
    }

    #[test]
    fn a_number_that_is_another_process_s_by_now_is_no_proof() {
        let here = std::process::id();
        let trusted = Trusted::by_this_process();
        let hour = Duration::from_secs(3600);
        let before = SystemTime::now() - hour;
        assert!(process(here, trusted.clone(), before).user().is_ok());
        let begun = process(here, trusted.clone(), before).started().unwrap();
        assert!(begun <= SystemTime::now() && begun > before);
        let gone = process(u32::MAX, trusted, before).verify().unwrap_err();
        assert!(matches!(gone.cause, Cause::Dead(u32::MAX)), "{gone}");
    }
}

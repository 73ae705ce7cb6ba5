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

use crate::config::server_info::Place;

/// How much later than its file a process may seem to have started: clocks of both are read one after
/// the other, and count hundredths of a second.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Who wrote a server info, and where it said that it listens.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    file: PathBuf,
    pid: u32,
    place: Place,
    trusted: Trusted,
    written: SystemTime,
}

/// Why nothing is sent there.
#[derive(Debug)]
pub(crate) struct Gone {
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
    NoListener(Place),
    /// The listener is this user's.
    Stranger(Place, u32),
    /// The system does not tell.
    Unknown(io::Error),
}

impl fmt::Display for Gone {
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
            Cause::NoListener(place) => write!(
                f,
                "nobody listens on {place}; is the proxy still running there? start it anew if not"
            ),
            Cause::Stranger(place, user) => write!(
                f,
                "the listener on {place} belongs to user {user}, and not to root or to the user of the \
                 proxy that wrote it; start the proxy anew, on another port"
            ),
            Cause::Unknown(error) => write!(
                f,
                "the system does not tell whether the proxy that wrote it is still there ({error}); if it \
                 is, name its address with -c model_providers.local-proxy.base_url=URL"
            ),
        }
    }
}

impl std::error::Error for Gone {}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Unknown(error)
    }
}

impl Writer {
    /// The process `pid` that `found` says it is from, and that listens at `place`.
    pub(crate) fn new(path: &Path, found: &SmallFile, pid: u32, place: Place) -> Self {
        Self {
            file: path.to_owned(),
            pid,
            place,
            trusted: found.trusted.clone(),
            written: found.written,
        }
    }

    /// Whether what is sent there now goes to the proxy.
    ///
    /// # Errors
    ///
    /// [`Gone`] says why not.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.find().map_err(|cause| Gone {
            file: self.file.clone(),
            cause,
        })
    }

    fn find(&self) -> Result<(), Cause> {
        let user = self.user()?;
        let listener = match &self.place {
            Place::Port(port) => listener_on(*port)?,
            Place::Socket(path) => socket_listener(path)?,
        };
        match listener {
            Some(owner) if owner == 0 || owner == user => Ok(()),
            Some(owner) => Err(Cause::Stranger(self.place.clone(), owner)),
            None => Err(Cause::NoListener(self.place.clone())),
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

    /// When the process began.
    fn started(&self) -> Result<SystemTime, Cause> {
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
        SystemTime::now()
            .checked_sub(ago)
            .ok_or_else(|| unreadable().into())
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

/// Whose listener gets connections to `port` of 127.0.0.1 (`/proc/net/tcp`, proc_pid_net(5)).
fn listener_on(port: u16) -> io::Result<Option<u32>> {
    let v4 = fs::read_to_string("/proc/net/tcp")?;
    // There is none without IPv6.
    let v6 = match fs::read_to_string("/proc/net/tcp6") {
        Ok(v6) => v6,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(listener_in(&v4, &v6, port))
}

/// The listener on the very address comes before one on all addresses, of IPv4 before IPv6.
fn listener_in(v4: &str, v6: &str, port: u16) -> Option<u32> {
    const LOOPBACK: &str = "0100007F";
    const ANY: &str = "00000000";
    // In the order of bytes in memory, 32 bits at a time.
    const MAPPED_LOOPBACK: &str = "0000000000000000FFFF00000100007F";
    const ANY_V6: &str = "00000000000000000000000000000000";
    let loopback = if cfg!(target_endian = "big") {
        ["7F000001", "00000000000000000000FFFF7F000001"]
    } else {
        [LOOPBACK, MAPPED_LOOPBACK]
    };
    let [exact, mapped] = loopback;
    [(v4, exact), (v6, mapped), (v4, ANY), (v6, ANY_V6)]
        .into_iter()
        .find_map(|(table, address)| {
            let local = format!("{address}:{port:04X}");
            table.lines().find_map(|line| {
                let mut fields = line.split_whitespace();
                let is_it = fields.nth(1)? == local && fields.nth(1)? == LISTEN;
                is_it.then(|| fields.nth(3)?.parse().ok())?
            })
        })
}

/// `TCP_LISTEN`.
const LISTEN: &str = "0A";

/// Whose listener gets connections to a Unix socket: whoever called listen(2) (unix(7), `SO_PEERCRED`).
fn socket_listener(path: &Path) -> io::Result<Option<u32>> {
    use std::os::unix::net::UnixStream;

    match UnixStream::connect(path) {
        Ok(stream) => {
            let peer = rustix::net::sockopt::socket_peercred(&stream)?;
            Ok(Some(peer.uid.as_raw()))
        }
        Err(error) if is_nobody(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 2 1
   2: 0100007F:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1002        0 3 1
   3: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 4 1
   4: 0200007F:1F93 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1004        0 5 1
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1005        0 6 1
   1: 00000000000000000000000001000000:1F94 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1006        0 7 1
";

    #[cfg(target_endian = "little")]
    #[test]
    fn the_listener_that_gets_the_connection_is_found() {
        for (port, owner) in [
            (8080, Some(1000)),
            (8081, None),
            (8082, Some(1003)),
            (8083, Some(1005)),
            (8084, None),
            (8085, None),
        ] {
            assert_eq!(listener_in(TCP, TCP6, port), owner, "{port}");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(listener_on(port).unwrap(), Some(own));
        drop(listener);
        assert_eq!(listener_on(port).unwrap(), None);
    }

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

    fn writer(pid: u32, trusted: Trusted, written: SystemTime) -> Writer {
        Writer {
            file: "/x".into(),
            pid,
            place: Place::Port(1),
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
        assert!(writer(here, trusted.clone(), before).user().is_ok());
        let begun = writer(here, trusted.clone(), before).started().unwrap();
        assert!(begun <= SystemTime::now() && begun > before);
        let gone = writer(u32::MAX, trusted, before).look().unwrap_err();
        assert!(matches!(gone.cause, Cause::Dead(u32::MAX)), "{gone}");
    }
}

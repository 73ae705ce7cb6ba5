//! Waits for the end of a process that is not our child.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::connection::Connection;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Holds it, so that its number cannot become another one's (pidfd_open(2)). `None`: it is not to be seen from here,
    /// and its end is that of its connection.
    handle: Option<OwnedFd>,
    pid: u32,
}

impl Process {
    /// The one behind `connection`, which says that it is `pid`. `None`: it has ended.
    ///
    /// The kernel names who listened. That is another process where a service manager did before the proxy, or where
    /// somebody passes connections on; and none where the proxy is outside of the container of this process.
    ///
    /// # Errors
    ///
    /// When the kernel has no such handles.
    pub(crate) fn behind(
        connection: &Connection,
        pid: u32,
    ) -> Result<Option<Self>, (u32, io::Error)> {
        let unseen = Self { handle: None, pid };
        let Some(listener) = connection.listener() else {
            return Ok(Some(unseen));
        };
        let number = i32::try_from(listener).ok().and_then(Pid::from_raw);
        let number = number.ok_or((listener, io::ErrorKind::InvalidData.into()))?;
        let handle = pidfd_open(number, PidfdFlags::empty());
        // Looked at while it is held: until then the number could become another one's.
        if !goes_by(listener, pid) {
            return Ok(Some(unseen));
        }
        match handle {
            Ok(handle) => Ok(Some(Self {
                handle: Some(handle),
                pid: listener,
            })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err((listener, error.into())),
        }
    }

    /// As this process numbers it; one that is not to be seen, as it does itself.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits so long at most; whether it has ended.
    ///
    /// # Errors
    ///
    /// Those of `poll(2)`.
    pub(crate) fn ended_within(
        &self,
        connection: &mut Connection,
        limit: Duration,
    ) -> io::Result<bool> {
        match &self.handle {
            Some(handle) => ready_within(handle, limit),
            None => Ok(connection.closed_within(limit)),
        }
    }
}

/// Whether the process that has this number here goes by `pid` where it runs: in a pid namespace within this one it has
/// another (`NSpid`, proc_pid_status(5)).
fn goes_by(number: u32, pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let innermost = numbers.and_then(|numbers| numbers.split_whitespace().next_back());
    // Where nothing is told of it, it can only be taken for one of this namespace.
    innermost.and_then(|own| own.parse().ok()).unwrap_or(number) == pid
}

/// Waits until `descriptor` can be read, so long at most; whether it can.
///
/// # Errors
///
/// Those of `poll(2)`.
pub(crate) fn ready_within(descriptor: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let until = std::time::Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        });
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_the_process_that_answers_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let mut connection = Connection::open(&path, Duration::from_secs(1)).unwrap();
        let own = std::process::id();
        let process = Process::behind(&connection, own).unwrap().unwrap();
        assert_eq!((process.pid(), process.handle.is_some()), (own, true));
        // As where this process has listened for one that the kernel does not name.
        let other = Process::behind(&connection, own + 1).unwrap().unwrap();
        assert_eq!((other.pid(), other.handle.is_none()), (own + 1, true));
        let short = Duration::from_millis(10);
        assert!(!other.ended_within(&mut connection, short).unwrap());
        drop(listener.accept().unwrap());
        let long = Duration::from_secs(60);
        assert!(other.ended_within(&mut connection, long).unwrap());
    }
}

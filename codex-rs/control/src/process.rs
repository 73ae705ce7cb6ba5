//! Waits for the end of a process that is not our child.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::connection::Connection;

/// A process, held so that its number cannot become another one's (pidfd_open(2)).
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedFd,
    pid: u32,
}

impl Process {
    /// The one behind `connection`, which says that it is `pid`. `None`: it has ended.
    ///
    /// # Errors
    ///
    /// When the kernel has no such handles.
    pub(crate) fn behind(
        connection: &Connection,
        pid: u32,
    ) -> Result<Option<Self>, (u32, io::Error)> {
        let pid = connection.listener().unwrap_or(pid);
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or((pid, io::ErrorKind::InvalidData.into()))?;
        match pidfd_open(number, PidfdFlags::empty()) {
            Ok(handle) => Ok(Some(Self { handle, pid })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err((pid, error.into())),
        }
    }

    /// As this process numbers it.
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
        _connection: &mut Connection,
        limit: Duration,
    ) -> io::Result<bool> {
        ready_within(&self.handle, limit)
    }
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

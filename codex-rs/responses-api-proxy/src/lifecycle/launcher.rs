//! Whoever starts the proxy: told by a descriptor that it is ready, and missed when it has ended.
//!
//! Everything here is opened before there is a sandbox, and polled in it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};

use crate::lifecycle::descriptor_events::polled;

/// Why a descriptor is not what it is to be.
#[derive(Debug)]
pub(crate) enum DescriptorError {
    /// Neither a pipe nor a stream socket that is connected.
    NoOtherEnd,
    /// It can only be written.
    WriteOnly,
    /// It can only be read.
    ReadOnly,
    /// This process has the other end of the pipe too, by this number: it would never be closed.
    BothEnds(String),
    Io(io::Error),
}

impl fmt::Display for DescriptorError {
    /// The end of a sentence that begins with the flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOtherEnd => f.write_str(
                "is neither a pipe nor a connected stream socket, and has no other end that could be closed",
            ),
            Self::WriteOnly => {
                f.write_str("is the end of a pipe that is written to; pass the one that is read from")
            }
            Self::ReadOnly => f.write_str("cannot be written to; pass the end of the pipe that is"),
            Self::BothEnds(number) => write!(
                f,
                "would never be closed: the proxy itself was started with the other end open, as descriptor \
                 {number}; close it there ({number}>&-)"
            ),
            Self::Io(_) => f.write_str("cannot be used"),
        }
    }
}

impl std::error::Error for DescriptorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<rustix::io::Errno> for DescriptorError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

/// The end of a pipe or a socket whose other end somebody holds open for as long as the proxy is to run.
#[derive(Debug)]
pub(crate) struct Lifeline(File);

impl Lifeline {
    /// # Errors
    ///
    /// [`DescriptorError`].
    pub(crate) fn new(descriptor: OwnedFd) -> Result<Self, DescriptorError> {
        let status = fstat(&descriptor)?;
        let mode = fcntl_getfl(&descriptor)? & OFlags::RWMODE;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Fifo if mode == OFlags::WRONLY => return Err(DescriptorError::WriteOnly),
            FileType::Fifo => {
                if let Some(number) = other_end(&status) {
                    return Err(DescriptorError::BothEnds(number));
                }
            }
            FileType::Socket if rustix::net::getpeername(&descriptor).is_ok() => {}
            _ => return Err(DescriptorError::NoOtherEnd),
        }
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self(descriptor.into()))
    }

    /// Waits until the other end is closed; what is written there is thrown away. Needs a runtime around it.
    ///
    /// # Errors
    ///
    /// When it cannot be polled.
    pub(crate) async fn closed(&self) -> io::Result<()> {
        let polled = polled(&self.0)?;
        let mut thrown_away = [0; 256];
        loop {
            let mut ready = polled.readable().await?;
            match (&self.0).read(&mut thrown_away) {
                Ok(0) => return Ok(()),
                Ok(_) => tokio::task::yield_now().await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Such as a connection that was reset.
                Err(_) => return Ok(()),
            }
        }
    }
}

/// The number under which this process has the end of the same pipe that is written to, if it has it.
fn other_end(pipe: &rustix::fs::Stat) -> Option<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?;
    descriptors.flatten().find_map(|entry| {
        let opened = std::fs::metadata(entry.path()).ok()?;
        let is_same = {
            use std::os::unix::fs::MetadataExt;
            #[allow(
                clippy::unnecessary_cast,
                reason = "the types differ from system to system"
            )]
            let same = (opened.dev(), opened.ino()) == (pipe.st_dev as u64, pipe.st_ino as u64);
            same
        };
        let number = entry.file_name().into_string().ok()?;
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
        (is_same && is_written(&info.ok()?)).then_some(number)
    })
}

/// Whether a descriptor may be written by, as proc_pid_fdinfo(5) says it.
fn is_written(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// A descriptor by which it is said once that the proxy is ready.
#[derive(Debug)]
pub(crate) struct ReadyFd(File);

impl ReadyFd {
    /// # Errors
    ///
    /// [`DescriptorError`].
    pub(crate) fn new(descriptor: OwnedFd) -> Result<Self, DescriptorError> {
        if fcntl_getfl(&descriptor)? & OFlags::RWMODE == OFlags::RDONLY {
            return Err(DescriptorError::ReadOnly);
        }
        Ok(Self(descriptor.into()))
    }

    /// Writes the line, which ends in a newline, and closes it.
    ///
    /// # Errors
    ///
    /// When nobody reads it, or it takes nothing now.
    pub(crate) fn announce(mut self, line: &str) -> io::Result<()> {
        // A pipe that takes something takes a line (PIPE_BUF, pipe(7)), and nobody is waited for.
        let mut asked = [PollFd::new(&self.0, PollFlags::OUT)];
        if poll(&mut asked, Some(&Timespec::default()))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.write_all(line.as_bytes())
    }
}

/// The process that started the proxy, or one further up.
#[derive(Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "none is watched there")
)]
pub(crate) struct Parent {
    pid: i32,
    #[cfg(target_os = "linux")]
    process: OwnedFd,
}

/// Why a process is not watched.
#[derive(Debug)]
pub(crate) enum ParentError {
    Missing(i32),
    /// It is there, but did not start this one, nor did what it started.
    NotAbove(i32),
    Io(i32, io::Error),
}

impl fmt::Display for ParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(pid) => write!(f, "--parent-pid {pid}: there is no such process"),
            Self::NotAbove(pid) => write!(
                f,
                "--parent-pid {pid} is neither the process that started this one nor one further up, so its number may \
                 be another's by now; name one of these, or pass a pipe with --lifeline-fd"
            ),
            Self::Io(pid, _) => write!(f, "--parent-pid {pid}: the process cannot be watched"),
        }
    }
}

impl std::error::Error for ParentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, cause) => Some(cause),
            _ => None,
        }
    }
}

#[cfg(target_os = "linux")]
impl Parent {
    /// Of the processes above this one that of this number. The number alone could be that of another one that got it
    /// after the one that is meant had ended; but what is above this process, and still runs after it was opened, is the
    /// one that was opened: a parent that ends leaves its children to others.
    ///
    /// # Errors
    ///
    /// [`ParentError`].
    pub(crate) fn open(pid: i32) -> Result<Self, ParentError> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        let number = Pid::from_raw(pid).ok_or(ParentError::Missing(pid))?;
        let process = pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH => ParentError::Missing(pid),
            error => ParentError::Io(pid, error.into()),
        })?;
        if !ancestors().any(|above| above == pid) {
            return Err(ParentError::NotAbove(pid));
        }
        Ok(Self { pid, process })
    }

    /// Waits until it has ended. Needs a runtime around it.
    ///
    /// # Errors
    ///
    /// When it cannot be polled.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        let process = polled(&self.process)?;
        process.readable().await.map(drop)
    }
}

/// The parent of this process, its parent, and so on.
#[cfg(target_os = "linux")]
fn ancestors() -> impl Iterator<Item = i32> {
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    std::iter::successors(parent, |&pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse().ok().filter(|&above: &i32| above > 0)
    })
}

#[cfg(not(target_os = "linux"))]
impl Parent {
    /// Processes are not watched here.
    ///
    /// # Errors
    ///
    /// Always.
    pub(crate) fn open(pid: i32) -> Result<Self, ParentError> {
        let _ = (ParentError::Missing, ParentError::NotAbove);
        Err(ParentError::Io(pid, io::ErrorKind::Unsupported.into()))
    }

    /// # Errors
    ///
    /// Never.
    #[allow(clippy::unused_async, reason = "as where it is watched")]
    pub(crate) async fn ended(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Parent {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

#[cfg(test)]
mod tests;

//! The mitigations themselves, one function each.

use std::borrow::Cow;
use std::fmt;
use std::io;

#[cfg(any(target_os = "linux", target_os = "macos"))]
use nix::errno::Errno;
// Not by rustix, whose `getrlimit` cannot fail: a filter of system calls may refuse it all the same.
#[cfg(unix)]
use nix::sys::resource::{Resource, getrlimit, setrlimit};
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// One mitigation and what became of it.
#[derive(Debug)]
pub struct Mitigation {
    /// What it prevents, in a few words, such as `no core dumps`.
    pub name: Cow<'static, str>,
    /// `Err` where this system refused it or does not have it.
    pub outcome: io::Result<()>,
}

impl fmt::Display for Mitigation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(()) => write!(f, "applied: {}", self.name),
            Err(cause) => write!(f, "not applied: {}: {cause}", self.name),
        }
    }
}

/// Applies every mitigation that must precede the key, in order.
///
/// Nothing stops at a failure: the caller reports what could not be had.
#[must_use]
pub fn harden() -> Vec<Mitigation> {
    #[cfg(target_os = "linux")]
    crate::outer_filter::look();
    [
        ("no core dumps", forbid_core_dumps as fn() -> io::Result<()>),
        ("not dumpable, not traceable", forbid_tracing),
        ("no new privileges", forbid_new_privileges),
        ("no descriptor passed on", close_descriptors_on_exec),
    ]
    .into_iter()
    .map(|(name, apply)| Mitigation {
        name: name.into(),
        outcome: apply(),
    })
    .collect()
}

/// Raises the number of descriptors this process may have to the most it may ask
/// for (`getrlimit(2)`); returns that number. A flood of connections should not
/// meet a limit made for interactive programs.
///
/// # Errors
///
/// When the limit cannot be read; where it cannot be raised it is returned as it is.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    match setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        Ok(()) => Ok(most),
        Err(_) => Ok(now),
    }
}

/// Not known here.
///
/// # Errors
///
/// Always.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `setrlimit(2)`: a core file of at most no bytes, now and for good.
#[cfg(unix)]
fn forbid_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)
}

/// `PR_SET_DUMPABLE(2const)`: `/proc/PID/*` then belongs to root, and
/// `ptrace(2)` needs `CAP_SYS_PTRACE`.
#[cfg(target_os = "linux")]
pub(crate) fn forbid_tracing() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// `ptrace(2)` on macOS: a later attach is refused.
#[cfg(target_os = "macos")]
pub(crate) fn forbid_tracing() -> io::Result<()> {
    // SAFETY: PT_DENY_ATTACH concerns this process and ignores the other arguments.
    let done = unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
    Errno::result(done)?;
    Ok(())
}

/// `PR_SET_NO_NEW_PRIVS(2const)`: no program started from here gains anything
/// from a set-user-ID bit or file capabilities.
#[cfg(target_os = "linux")]
fn forbid_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// `close_range(2)`: what we inherited besides the three standard streams is not
/// handed on. Our own descriptors are opened that way.
#[cfg(target_os = "linux")]
fn close_descriptors_on_exec() -> io::Result<()> {
    // SAFETY: numbers only; the descriptors stay open for us.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    Errno::result(done)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn close_descriptors_on_exec() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn forbid_core_dumps() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn forbid_tracing() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn forbid_new_privileges() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_confirms_each_measure() {
        for mitigation in harden() {
            assert!(mitigation.outcome.is_ok(), "{mitigation:?}");
        }
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        let dumpable = rustix::process::dumpable_behavior();
        assert_eq!(dumpable, Ok(DumpableBehavior::NotDumpable));
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}

//! Another user, for good.

use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid};
#[cfg(target_os = "linux")]
use nix::unistd::{setfsgid, setfsuid, setgroups, setresgid, setresuid};

/// A user of this system, by the numbers that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: Uid,
    gid: Gid,
}

/// Why there is no such user.
#[derive(Debug)]
pub enum UserError {
    /// No entry of that name.
    Unknown(String),
    /// The user database could not be read.
    Lookup(String, io::Error),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "there is no user {name} (make one: useradd --system --no-create-home {name})"
            ),
            Self::Lookup(name, _) => write!(f, "could not look up the user {name}"),
        }
    }
}

impl std::error::Error for UserError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unknown(_) => None,
            Self::Lookup(_, cause) => Some(cause),
        }
    }
}

/// Whether an entry could not be looked up; any other error is one of several numbers for "not found", by the list
/// in getpwnam(3) and getgrnam(3).
pub(crate) fn is_of_lookup(error: Errno) -> bool {
    matches!(
        error,
        Errno::EIO | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ERANGE
    )
}

impl User {
    /// Looks a user up by name (`getpwnam_r(3)`).
    ///
    /// # Errors
    ///
    /// [`UserError`].
    pub fn by_name(name: &str) -> Result<Self, UserError> {
        match nix::unistd::User::from_name(name) {
            Ok(Some(entry)) => Ok(Self {
                uid: entry.uid,
                gid: entry.gid,
            }),
            Err(error) if is_of_lookup(error) => {
                Err(UserError::Lookup(name.to_owned(), error.into()))
            }
            Ok(None) | Err(_) => Err(UserError::Unknown(name.to_owned())),
        }
    }

    /// The user's number.
    #[must_use]
    pub fn uid(self) -> u32 {
        self.uid.as_raw()
    }

    /// Becomes this user: no supplementary groups, then the group, then the user,
    /// real, effective and saved, so that there is no way back (`setgroups(2)`,
    /// `setresgid(2)`, `setresuid(2)`). Makes the process not dumpable again, which
    /// a change of user undoes.
    ///
    /// # Errors
    ///
    /// `EPERM` unless root; the process may then have given up part of what it had.
    #[cfg(target_os = "linux")]
    pub fn drop_privileges_to(self) -> io::Result<()> {
        // By the C library, which does it in all threads (nptl(7)): the kernel's own calls, by rustix,
        // change the thread that makes them.
        setgroups(&[])?;
        setresgid(self.gid, self.gid, self.gid)?;
        setresuid(self.uid, self.uid, self.uid)?;
        crate::mitigations::forbid_tracing()
    }

    /// As on Linux, by the calls that other systems have.
    ///
    /// # Errors
    ///
    /// `EPERM` unless root.
    #[cfg(not(target_os = "linux"))]
    pub fn drop_privileges_to(self) -> io::Result<()> {
        // SAFETY: an empty list; the pointer is not looked at.
        Errno::result(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        nix::unistd::setgid(self.gid)?;
        nix::unistd::setuid(self.uid)?;
        crate::mitigations::forbid_tracing()
    }
}

/// The user and the group that own nothing (`proc_sys_kernel(5)`, `overflowuid`).
#[cfg(target_os = "linux")]
const NOBODY: (Uid, Gid) = (Uid::from_raw(65_534), Gid::from_raw(65_534));

/// From now on this thread, and what it starts, opens files with the rights of everybody at most, and not
/// with those of root, who owns what others may not read (`setfsuid(2)`, `setfsgid(2)`). For a thread of
/// root that needs no privilege any more; any other stays as it is.
///
/// # Errors
///
/// When root cannot do that: without the capability, or in a user namespace without that user.
#[cfg(target_os = "linux")]
pub fn open_files_as_everybody() -> io::Result<()> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    // Not by the C library, which would do it in all threads (nptl(7)).
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = NOBODY;
    setfsgid(group);
    setfsuid(user);
    // Both return what was before, also when they fail; a number that is none changes nothing.
    let group = setfsgid(Gid::from_raw(libc::gid_t::MAX));
    let user = setfsuid(Uid::from_raw(libc::uid_t::MAX));
    if (user, group) != NOBODY {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // A change of user makes the process what `suid_dumpable` says (proc_sys_fs(5)).
    crate::mitigations::forbid_tracing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_of_root_that_opens_files_as_everybody_reads_no_secret_of_root() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let thread = std::thread::spawn(move || {
            if open_files_as_everybody().is_ok() && Uid::effective().is_root() {
                assert!(std::fs::read("/etc/passwd").is_ok());
                assert!(std::fs::read(path).is_err());
            }
        });
        thread.join().unwrap();
        assert!(std::fs::read(file.path()).is_ok());
    }

    #[test]
    fn root_is_known_and_nobody_else_is_made_up() {
        let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
        assert_eq!(User::by_name("root").unwrap(), User { uid, gid });
        for name in ["no-such-user-here", "", "a\0b"] {
            assert!(
                matches!(User::by_name(name), Err(UserError::Unknown(_))),
                "{name:?}"
            );
        }
    }
}

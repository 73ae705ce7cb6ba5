//! Another user, for good.

use std::ffi::CString;
use std::fmt;
use std::io;

use crate::measures::check;

/// A user of this system, by the numbers that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: libc::uid_t,
    gid: libc::gid_t,
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

impl User {
    /// Looks a user up by name (`getpwnam_r(3)`).
    ///
    /// # Errors
    ///
    /// [`UserError`].
    pub fn by_name(name: &str) -> Result<Self, UserError> {
        let unknown = || UserError::Unknown(name.to_owned());
        let wanted = CString::new(name).map_err(|_| unknown())?;
        // SAFETY: passwd is plain data, for which all zeroes is a value.
        let mut entry = unsafe { std::mem::zeroed::<libc::passwd>() };
        let mut text: [libc::c_char; 16 * 1024] = [0; 16 * 1024];
        let mut found = std::ptr::null_mut();
        // SAFETY: the name is a C string; the call fills the entry, at most as much
        // text as there is room for, and the pointer.
        let error = unsafe {
            libc::getpwnam_r(
                wanted.as_ptr(),
                &mut entry,
                text.as_mut_ptr(),
                text.len(),
                &mut found,
            )
        };
        if !found.is_null() {
            return Ok(Self {
                uid: entry.pw_uid,
                gid: entry.pw_gid,
            });
        }
        // "Not found" is one of several numbers, by the manual page's own list.
        match error {
            libc::EIO | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ERANGE => Err(
                UserError::Lookup(name.to_owned(), io::Error::from_raw_os_error(error)),
            ),
            _ => Err(unknown()),
        }
    }

    /// The user's number.
    #[must_use]
    pub fn uid(self) -> u32 {
        self.uid
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
    pub fn become_for_good(self) -> io::Result<()> {
        // SAFETY: an empty list; the pointer is not looked at.
        check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: numbers only.
        check(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })?;
        // SAFETY: numbers only.
        check(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })?;
        crate::measures::forbid_tracing()
    }

    /// As on Linux, by the calls that other systems have.
    ///
    /// # Errors
    ///
    /// `EPERM` unless root.
    #[cfg(not(target_os = "linux"))]
    pub fn become_for_good(self) -> io::Result<()> {
        // SAFETY: an empty list; the pointer is not looked at.
        check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: numbers only.
        check(unsafe { libc::setgid(self.gid) })?;
        // SAFETY: numbers only.
        check(unsafe { libc::setuid(self.uid) })?;
        crate::measures::forbid_tracing()
    }
}

/// The user and the group that own nothing (`proc_sys_kernel(5)`, `overflowuid`).
#[cfg(target_os = "linux")]
const NOBODY: libc::uid_t = 65_534;

/// From now on this thread, and what it starts, opens files with the rights of everybody at most, and not
/// with those of root, who owns what others may not read (`setfsuid(2)`, `setfsgid(2)`). For a thread of
/// root that needs no privilege any more; any other stays as it is.
///
/// # Errors
///
/// When root cannot do that: without the capability, or in a user namespace without that user.
#[cfg(target_os = "linux")]
pub fn open_files_as_everybody() -> io::Result<()> {
    // SAFETY: tells a number.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(());
    }
    // Not by the C library, which would do it in all threads (nptl(7)).
    let none = std::ptr::null::<libc::gid_t>();
    // SAFETY: an empty list; the pointer is not looked at.
    let done = unsafe { libc::syscall(libc::SYS_setgroups, 0, none) };
    check(libc::c_int::try_from(done).unwrap_or(-1))?;
    // SAFETY: numbers only.
    unsafe { libc::setfsgid(NOBODY) };
    // SAFETY: numbers only.
    unsafe { libc::setfsuid(NOBODY) };
    // Both return what was before, also when they fail; a number that is none changes nothing.
    // SAFETY: numbers only.
    let group = unsafe { libc::setfsgid(libc::gid_t::MAX) };
    // SAFETY: numbers only.
    let user = unsafe { libc::setfsuid(libc::uid_t::MAX) };
    let nobody = libc::c_int::try_from(NOBODY).map_err(io::Error::other)?;
    if [group, user] != [nobody; 2] {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // A change of user makes the process what `suid_dumpable` says (proc_sys_fs(5)).
    crate::measures::forbid_tracing()
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
            // SAFETY: tells a number.
            let is_root = unsafe { libc::geteuid() } == 0;
            if open_files_as_everybody().is_ok() && is_root {
                assert!(std::fs::read("/etc/passwd").is_ok());
                assert!(std::fs::read(path).is_err());
            }
        });
        thread.join().unwrap();
        assert!(std::fs::read(file.path()).is_ok());
    }

    #[test]
    fn root_is_known_and_nobody_else_is_made_up() {
        assert_eq!(User::by_name("root").unwrap(), User { uid: 0, gid: 0 });
        for name in ["no-such-user-here", "", "a\0b"] {
            assert!(
                matches!(User::by_name(name), Err(UserError::Unknown(_))),
                "{name:?}"
            );
        }
    }
}

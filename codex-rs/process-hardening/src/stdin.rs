//! Standard input, taken out of descriptor 0 before the key comes through it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Moves standard input to a descriptor of its own and leaves `/dev/null`, or where
/// there is none (in a bare chroot) a pipe that is at its end, in its place: dropping the returned file then really closes the key's pipe,
/// whose writer sees it, and nothing started later can read what is left in it.
///
/// The file is unbuffered, unlike [`std::io::Stdin`], which would keep a copy of
/// the key in its buffer.
///
/// # Errors
///
/// When descriptor 0 cannot be duplicated or nothing can be put in its place.
pub fn take_stdin() -> io::Result<File> {
    // SAFETY: asks for a new descriptor (`fcntl(2)`); no memory is passed.
    let fd = unsafe { libc::fcntl(libc::STDIN_FILENO, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above returned this descriptor to us and to nobody else.
    let taken = unsafe { OwnedFd::from_raw_fd(fd) };
    let nothing: OwnedFd = match File::open("/dev/null") {
        Ok(null) => null.into(),
        Err(_) => io::pipe()?.0.into(),
    };
    // SAFETY: `dup2(2)` replaces descriptor 0, which no owned handle refers to.
    let replaced = unsafe { libc::dup2(nothing.as_raw_fd(), libc::STDIN_FILENO) };
    if replaced < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(taken))
}

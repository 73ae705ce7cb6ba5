//! Standard input, taken out of descriptor 0 before the key comes through it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdin, stdin};

/// Moves standard input to a descriptor of its own and leaves `/dev/null`, or where
/// there is none (in a bare chroot) a pipe that is at its end, in its place: dropping
/// the returned file then really closes the key's pipe, whose writer sees it, and
/// nothing started later can read what is left in it.
///
/// The file is unbuffered, unlike [`std::io::Stdin`], which would keep a copy of
/// the key in its buffer.
///
/// # Errors
///
/// When descriptor 0 cannot be duplicated or nothing can be put in its place.
pub fn take_stdin() -> io::Result<File> {
    let taken = fcntl_dupfd_cloexec(stdin(), 3)?;
    let nothing: OwnedFd = match File::open("/dev/null") {
        Ok(null) => null.into(),
        Err(_) => io::pipe()?.0.into(),
    };
    dup2_stdin(nothing)?;
    Ok(File::from(taken))
}

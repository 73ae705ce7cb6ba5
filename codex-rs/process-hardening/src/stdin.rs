//! Standard input, taken out of descriptor 0 before the key comes through it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::measures::check;

/// Moves standard input to a descriptor of its own and leaves `/dev/null` in
/// its place: dropping the returned file then really closes the key's pipe,
/// whose writer sees it, and nothing started later can read what is left in it.
///
/// The file is unbuffered, unlike [`std::io::Stdin`], which would keep a copy of
/// the key in its buffer.
///
/// # Errors
///
/// When descriptor 0 cannot be duplicated or `/dev/null` cannot be opened.
pub fn take_stdin() -> io::Result<File> {
    // SAFETY: asks for a new descriptor (`fcntl(2)`); no memory is passed.
    let fd = unsafe { libc::fcntl(libc::STDIN_FILENO, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above returned this descriptor to us and to nobody else.
    let taken = unsafe { OwnedFd::from_raw_fd(fd) };
    let null = File::open("/dev/null")?;
    // SAFETY: `dup2(2)` replaces descriptor 0, which no owned handle refers to.
    let replaced = unsafe { libc::dup2(null.as_raw_fd(), libc::STDIN_FILENO) };
    if replaced < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(taken))
}

/// Keeps a terminal from showing what is typed, until dropped (`termios(3)`).
pub struct EchoOff<'a> {
    terminal: &'a File,
    before: libc::termios,
}

impl<'a> EchoOff<'a> {
    /// Turns echo off; the newline that ends the line is still shown.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when `terminal` is not one.
    pub fn new(terminal: &'a File) -> io::Result<Self> {
        // SAFETY: termios is plain integers, for which all zeroes is a value.
        let mut before = unsafe { std::mem::zeroed::<libc::termios>() };
        // SAFETY: the call fills the one struct it is given.
        check(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut before) })?;
        let mut silent = before;
        silent.c_lflag &= !libc::ECHO;
        silent.c_lflag |= libc::ECHONL;
        // SAFETY: the call reads the one struct it is given.
        check(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSAFLUSH, &silent) })?;
        Ok(Self { terminal, before })
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        // SAFETY: the call reads the one struct it is given. A failure leaves a
        // quiet terminal, which `stty echo` cures; there is nobody to tell.
        unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSANOW, &self.before) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_terminal_is_said_to_be_none() {
        let file = File::open("/dev/null").unwrap();
        let Err(refused) = EchoOff::new(&file) else {
            panic!("/dev/null passed for a terminal");
        };
        assert_eq!(refused.raw_os_error(), Some(libc::ENOTTY));
    }
}

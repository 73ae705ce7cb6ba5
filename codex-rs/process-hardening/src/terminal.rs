//! A terminal that does not show what is typed.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::measures::check;

/// Signals that end the process at a prompt and would leave the terminal quiet.
const ENDINGS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The terminal as it was, for the signal handler.
static BEFORE: OnceLock<(libc::c_int, libc::termios)> = OnceLock::new();
/// Whether it is quiet now.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Keeps a terminal from showing what is typed, until dropped or until a signal
/// ends the process (`termios(3)`). There can be one in the life of a process.
pub struct EchoOff(());

impl EchoOff {
    /// Turns echo off; the newline that ends the line is still shown.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when `terminal` is not one.
    pub fn new(terminal: &File) -> io::Result<Self> {
        let fd = terminal.as_raw_fd();
        // SAFETY: termios is plain integers, for which all zeroes is a value.
        let mut before = unsafe { std::mem::zeroed::<libc::termios>() };
        // SAFETY: the call fills the one struct it is given.
        check(unsafe { libc::tcgetattr(fd, &mut before) })?;
        let _ = BEFORE.set((fd, before));
        for signal in ENDINGS {
            // SAFETY: the handler does only what signal-safety(7) allows.
            unsafe { libc::signal(signal, on_ending as *const () as libc::sighandler_t) };
        }
        let mut silent = before;
        silent.c_lflag &= !libc::ECHO;
        silent.c_lflag |= libc::ECHONL;
        QUIET.store(true, Ordering::SeqCst);
        // SAFETY: the call reads the one struct it is given.
        check(unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &silent) })?;
        Ok(Self(()))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        restore();
        for signal in ENDINGS {
            // SAFETY: back to the default that was there before.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Shows again what is typed. A failure leaves a quiet terminal, which `stty echo`
/// cures; there is nobody to tell.
fn restore() {
    if QUIET.swap(false, Ordering::SeqCst)
        && let Some((fd, before)) = BEFORE.get()
    {
        // SAFETY: the call reads the one struct it is given, and is allowed in a
        // signal handler.
        unsafe { libc::tcsetattr(*fd, libc::TCSANOW, before) };
    }
}

/// Restores the terminal, then lets the signal do what it does by default.
extern "C" fn on_ending(signal: libc::c_int) {
    restore();
    // SAFETY: the default action, for the signal being handled.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: sent to this process alone; delivered when the handler returns.
    unsafe { libc::raise(signal) };
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

//! A terminal that does not show what is typed.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::measures::check;
use crate::signals::action_of;

/// Signals that end the process at a prompt and would leave the terminal quiet.
const ENDINGS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The terminal as it was, for the signal handler.
static BEFORE: OnceLock<(libc::c_int, libc::termios)> = OnceLock::new();
/// What was done at each of [`ENDINGS`], in the same order.
static ACTIONS: OnceLock<[libc::sigaction; 4]> = OnceLock::new();
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
        let [int, term, hup, quit] = ENDINGS;
        let actions = [
            action_of(int)?,
            action_of(term)?,
            action_of(hup)?,
            action_of(quit)?,
        ];
        let _ = ACTIONS.set(actions);
        for (signal, action) in ENDINGS.into_iter().zip(actions) {
            // What is ignored ends nothing.
            if action.sa_sigaction != libc::SIG_IGN {
                // SAFETY: the handler does only what signal-safety(7) allows.
                unsafe { libc::signal(signal, on_ending as *const () as libc::sighandler_t) };
            }
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
        ENDINGS.into_iter().for_each(restore_action);
    }
}

/// Does at this signal again what was done before.
fn restore_action(signal: libc::c_int) {
    let at = ENDINGS.iter().position(|&ending| ending == signal);
    let before = ACTIONS.get().zip(at).and_then(|(all, at)| all.get(at));
    if let Some(before) = before {
        // SAFETY: the call reads the one struct it is given, which the kernel filled in, and is
        // allowed in a signal handler.
        unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
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

/// Restores the terminal, then lets the signal do what it did before.
extern "C" fn on_ending(signal: libc::c_int) {
    restore();
    restore_action(signal);
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

    #[test]
    fn what_was_done_at_a_signal_is_done_again_afterwards() {
        use std::os::fd::FromRawFd;

        extern "C" fn of_ours(_signal: libc::c_int) {}

        let [mut near, mut far] = [-1; 2];
        let null = std::ptr::null_mut;
        // SAFETY: the call fills the two numbers it is given.
        let opened =
            unsafe { libc::openpty(&mut far, &mut near, null(), null().cast(), null().cast()) };
        check(opened).unwrap();
        // SAFETY: the call above returned this descriptor to us and to nobody else.
        let terminal = unsafe { File::from_raw_fd(near) };
        let ours = of_ours as *const () as libc::sighandler_t;
        for (signal, action) in [(libc::SIGHUP, libc::SIG_IGN), (libc::SIGQUIT, ours)] {
            // SAFETY: a handler that does nothing, or none.
            unsafe { libc::signal(signal, action) };
        }
        let action = |signal| action_of(signal).unwrap().sa_sigaction;
        let quiet = EchoOff::new(&terminal).unwrap();
        let handler = on_ending as *const () as libc::sighandler_t;
        assert_eq!(
            ENDINGS.map(action),
            [handler, handler, libc::SIG_IGN, handler]
        );
        drop(quiet);
        let before = [libc::SIG_DFL, libc::SIG_DFL, libc::SIG_IGN, ours];
        assert_eq!(ENDINGS.map(action), before);
    }
}

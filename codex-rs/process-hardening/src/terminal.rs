//! A terminal that does not show what is typed.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::signals::{Action, raise};

/// Signals that end the process at a prompt and would leave the terminal quiet.
const ENDINGS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The terminal as it was, for the signal handler.
static BEFORE: OnceLock<(RawFd, Termios)> = OnceLock::new();
/// What was done at each of [`ENDINGS`], in the same order.
static ACTIONS: OnceLock<[Action; 4]> = OnceLock::new();
/// Whether it is quiet now.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Keeps a terminal from showing what is typed, until dropped or until a signal
/// ends the process (`termios(3)`). There can be one in the life of a process.
pub struct EchoOff<'terminal>(PhantomData<&'terminal File>);

impl<'terminal> EchoOff<'terminal> {
    /// Turns echo off; the newline that ends the line is still shown.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when `terminal` is not one, `AlreadyExists` for a second one.
    pub fn new(terminal: &'terminal File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        if BEFORE.set((terminal.as_raw_fd(), before)).is_err() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let [int, term, hup, quit] = ENDINGS;
        let actions = [
            Action::at(int)?,
            Action::at(term)?,
            Action::at(hup)?,
            Action::at(quit)?,
        ];
        let _ = ACTIONS.set(actions);
        // Dropped where something fails from here on, which undoes the rest.
        let quiet = Self(PhantomData);
        // SAFETY: the handler does only what signal-safety(7) allows.
        let restore_and_end = unsafe { Action::call(on_ending) };
        for (signal, action) in ENDINGS.into_iter().zip(actions) {
            // What is ignored ends nothing.
            if !action.is_to_ignore() {
                restore_and_end.install(signal)?;
            }
        }
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        QUIET.store(true, Ordering::SeqCst);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(quiet)
    }
}

impl Drop for EchoOff<'_> {
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
        // It was done before, so it can be done again.
        let _ = before.install(signal);
    }
}

/// Shows again what is typed. A failure leaves a quiet terminal, which `stty echo`
/// cures; there is nobody to tell.
fn restore() {
    if QUIET.swap(false, Ordering::SeqCst)
        && let Some((terminal, before)) = BEFORE.get()
    {
        // SAFETY: the terminal is quiet only while there is an `EchoOff`, which borrows the file.
        let terminal = unsafe { BorrowedFd::borrow_raw(*terminal) };
        // Allowed in a signal handler.
        let _ = tcsetattr(terminal, OptionalActions::Now, before);
    }
}

/// Restores the terminal, then lets the signal do what it did before.
extern "C" fn on_ending(signal: libc::c_int) {
    restore();
    restore_action(signal);
    raise(signal);
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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
        extern "C" fn of_ours(_signal: libc::c_int) {}

        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let name = ptsname(&far, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = File::from(open(name, flags, Mode::empty()).unwrap());
        let is_echoing = || {
            let modes = tcgetattr(&terminal).unwrap().local_modes;
            modes.contains(LocalModes::ECHO)
        };
        assert!(is_echoing());
        let ignored = Action::at(libc::SIGPIPE).unwrap();
        ignored.install(libc::SIGHUP).unwrap();
        // SAFETY: a handler that does nothing.
        let ours = unsafe { Action::call(of_ours) };
        ours.install(libc::SIGQUIT).unwrap();
        let actions = || ENDINGS.map(|signal| Action::at(signal).unwrap());
        let before = actions();
        assert_eq!(&before[2..], [ignored, ours]);
        let quiet = EchoOff::new(&terminal).unwrap();
        assert!(!is_echoing());
        let [int, term, hup, quit] = actions();
        assert_eq!(hup, ignored);
        for ending in [int, term, quit] {
            assert!(!before.contains(&ending));
            assert_eq!(ending, int);
        }
        drop(quiet);
        assert!(is_echoing());
        assert_eq!(actions(), before);
    }
}

//! What this process does at a signal (`sigaction(2)`).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

/// Whether `signal` is ignored, as whoever started this process may have decided: a shell does for what
/// it starts in the background without job control (POSIX.1-2024, XCU 2.12), and nohup(1) does. Ask
/// before a handler is installed over that.
///
/// # Errors
///
/// `EINVAL` when there is no such signal.
pub fn is_ignored(signal: i32) -> io::Result<bool> {
    Ok(Action::at(signal)?.is_to_ignore())
}

/// From now on a file that grows past `RLIMIT_FSIZE` (setrlimit(2)) is an error of the write, `EFBIG`, and does not
/// end the process.
///
/// # Errors
///
/// None that is known.
pub fn ignore_file_size_signal() -> io::Result<()> {
    Action::ignore().install(libc::SIGXFSZ)
}

/// From now on SIGHUP and SIGINT do nothing: for a process that ends with another one, which hears them. They are caught
/// and not ignored, because what is ignored stays so in programs that are run (execve(2)).
///
/// # Errors
///
/// None that is known.
pub fn outlive_hangup_and_interrupt() -> io::Result<()> {
    extern "C" fn nothing(_signal: libc::c_int) {}

    for signal in [libc::SIGHUP, libc::SIGINT] {
        // SAFETY: the handler does nothing.
        unsafe { Action::call(nothing) }.install(signal)?;
    }
    Ok(())
}

static HANGUP_CAME: AtomicBool = AtomicBool::new(false);

/// From now on SIGHUP does nothing but be remembered, until something else is installed: a process that reads files again
/// at this signal does not end by one that comes before it can. Caught and not ignored, as above; also if it was ignored.
///
/// # Errors
///
/// None that is known.
pub fn remember_hangup() -> io::Result<()> {
    extern "C" fn remember(_signal: libc::c_int) {
        HANGUP_CAME.store(true, Ordering::Relaxed);
    }

    // SAFETY: the handler stores a value without a lock, which signal-safety(7) allows.
    unsafe { Action::call(remember) }.install(libc::SIGHUP)
}

/// Whether a SIGHUP was remembered.
pub fn hangup_came() -> bool {
    HANGUP_CAME.load(Ordering::Relaxed)
}

/// What is done at a signal. Whatever there is a value of may be installed: what the system does by
/// default, what was done before, or a handler that somebody vouched for.
#[derive(Clone, Copy)]
pub(crate) struct Action(libc::sigaction);

impl Action {
    /// What the system does by default.
    pub(crate) fn by_default() -> Self {
        // SAFETY: sigaction is plain data, for which all zeroes is a value: the default action
        // (SIG_DFL), no flags, no signal blocked meanwhile.
        Self(unsafe { std::mem::zeroed() })
    }

    /// Nothing.
    pub(crate) fn ignore() -> Self {
        let mut action = Self::by_default();
        action.0.sa_sigaction = libc::SIG_IGN;
        action
    }

    /// Calls `handler`; what was interrupted goes on after it (SA_RESTART).
    ///
    /// # Safety
    ///
    /// The handler must do only what signal-safety(7) allows.
    pub(crate) unsafe fn call(handler: extern "C" fn(libc::c_int)) -> Self {
        let mut action = Self::by_default();
        action.0.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.0.sa_flags = libc::SA_RESTART;
        action
    }

    /// The same, with what the kernel knows of the signal and the registers of the interrupted thread
    /// (SA_SIGINFO).
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call).
    #[cfg(target_os = "linux")]
    pub(crate) unsafe fn call_with_context(
        handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
    ) -> Self {
        let mut action = Self::by_default();
        action.0.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.0.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        action
    }

    /// What is done at this signal now.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there is no such signal.
    pub(crate) fn at(signal: libc::c_int) -> io::Result<Self> {
        exchange(signal, None)
    }

    /// Does this at that signal from now on. Allowed in a signal handler.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there is no such signal, or it cannot be handled.
    pub(crate) fn install(&self, signal: libc::c_int) -> io::Result<()> {
        exchange(signal, Some(self))?;
        Ok(())
    }

    pub(crate) fn is_to_ignore(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }
}

/// Two are equal if they call the same.
#[cfg(test)]
impl PartialEq for Action {
    fn eq(&self, other: &Self) -> bool {
        self.0.sa_sigaction == other.0.sa_sigaction
    }
}

#[cfg(test)]
impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Action").field(&self.0.sa_sigaction).finish()
    }
}

/// Tells what was done at this signal; with `new`, does that from now on.
fn exchange(signal: libc::c_int, new: Option<&Action>) -> io::Result<Action> {
    let mut before = Action::by_default();
    let new = new.map_or(std::ptr::null(), |new| &raw const new.0);
    // SAFETY: the call reads the one struct that it is given, if any, and fills the other. What is
    // installed may be: see `Action`.
    let done = unsafe { libc::sigaction(signal, new, &raw mut before.0) };
    Errno::result(done)?;
    Ok(before)
}

/// Sends a signal to this thread (`raise(3)`). In the handler of that signal it arrives when the handler
/// returns. Allowed in a signal handler.
pub(crate) fn raise(signal: libc::c_int) {
    // SAFETY: passes a number.
    unsafe { libc::raise(signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_is_remembered() {
        remember_hangup().unwrap();
        assert!(!hangup_came());
        raise(libc::SIGHUP);
        assert!(hangup_came());
    }

    #[test]
    fn what_is_ignored_is_told_from_what_is_not() {
        assert!(!is_ignored(libc::SIGURG).unwrap());
        // By the standard library, in every program.
        assert!(is_ignored(libc::SIGPIPE).unwrap());
        assert!(is_ignored(-1).is_err());
    }
}

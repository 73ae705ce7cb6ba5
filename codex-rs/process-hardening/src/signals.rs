//! What was decided about a signal before this program ran.

use std::io;

use crate::measures::check;

/// Whether `signal` is ignored, as whoever started this process may have decided: a shell does for what
/// it starts in the background without job control (POSIX.1-2024, XCU 2.12), and nohup(1) does. Ask
/// before a handler is installed over that.
///
/// # Errors
///
/// `EINVAL` when there is no such signal.
pub fn is_ignored(signal: i32) -> io::Result<bool> {
    Ok(action_of(signal)?.sa_sigaction == libc::SIG_IGN)
}

/// What is done at this signal now (`sigaction(2)`).
pub(crate) fn action_of(signal: libc::c_int) -> io::Result<libc::sigaction> {
    // SAFETY: sigaction is plain data, for which all zeroes is a value.
    let mut action = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: nothing is changed; the call fills the one struct it is given.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) })?;
    Ok(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_told_from_what_is_not() {
        assert!(!is_ignored(libc::SIGURG).unwrap());
        // SAFETY: ignoring this signal, which nobody sends, changes nothing else.
        unsafe { libc::signal(libc::SIGURG, libc::SIG_IGN) };
        assert!(is_ignored(libc::SIGURG).unwrap());
        assert!(is_ignored(-1).is_err());
    }
}

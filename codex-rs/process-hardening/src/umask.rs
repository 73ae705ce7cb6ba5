//! Files that are born closed.

/// Runs `make` while whatever it creates is for this user alone to read and write
/// (`umask(2)`). Call it while there is one thread: the mask is the whole process's.
#[cfg(unix)]
pub fn born_private<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: changes a number of this process.
    let before = unsafe { libc::umask(0o177) };
    let made = make();
    // SAFETY: changes it back.
    unsafe { libc::umask(before) };
    made
}

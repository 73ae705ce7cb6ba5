//! Files that are born with the permissions they are to have.

/// Runs `make` while whatever socket it creates gets the permissions `mode` and no
/// more (`umask(2)`). Call it while there is one thread: the mask is the whole
/// process's.
#[cfg(unix)]
pub fn with_umask<T>(mode: u32, make: impl FnOnce() -> T) -> T {
    let mask = !mode & 0o777;
    // SAFETY: changes a number of this process.
    let before = unsafe { libc::umask(libc::mode_t::try_from(mask).unwrap_or(0o777)) };
    let made = make();
    // SAFETY: changes it back.
    unsafe { libc::umask(before) };
    made
}

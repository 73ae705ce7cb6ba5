//! Standard error that nobody reads must not stop anybody.

/// Whether a line of less than 4096 bytes can be written to standard error without
/// waiting (`poll(2)`, `pipe(7)`). A pipe whose reader has stopped reading is full
/// sooner or later, and writing to it would block for ever.
#[cfg(unix)]
#[must_use]
pub fn stderr_has_room() -> bool {
    let mut stderr = libc::pollfd {
        fd: libc::STDERR_FILENO,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: the call fills in the one entry it is given and does not wait.
    let ready = unsafe { libc::poll(&mut stderr, 1, 0) };
    // A descriptor that is closed or broken is "ready": writing to it fails at once.
    ready != 0
}

/// Not known here.
#[cfg(not(unix))]
#[must_use]
pub fn stderr_has_room() -> bool {
    true
}

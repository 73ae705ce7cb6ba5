//! Standard error that nobody reads must not stop anybody.

/// Whether a line of less than 4096 bytes can be written to standard error without
/// waiting (`poll(2)`, `pipe(7)`). A pipe whose reader has stopped reading is full
/// sooner or later, and writing to it would block for ever. Allowed in a signal handler.
#[cfg(unix)]
#[must_use]
pub fn stderr_has_room() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stderr = rustix::stdio::stderr();
    let mut stderr = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    // A descriptor that is closed or broken is "ready": writing to it fails at once.
    poll(&mut stderr, Some(&Timespec::default())) != Ok(0)
}

/// Not known here.
#[cfg(not(unix))]
#[must_use]
pub fn stderr_has_room() -> bool {
    true
}

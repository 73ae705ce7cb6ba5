//! Descriptors that are neither sockets nor files, such as pidfds and timers, polled by the runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has a descriptor polled by the runtime around this, for something to read or its end.
///
/// # Errors
///
/// Those of `epoll_ctl(2)`.
#[allow(
    deprecated,
    reason = "deprecated for types whose descriptor may change or close meanwhile; one that is borrowed cannot"
)]
pub(crate) fn polled<D: AsFd>(descriptor: &D) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    AsyncFd::with_interest(descriptor.as_fd(), Interest::READABLE)
}

//! A descriptor that was inherited, by its number.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes over a descriptor that this process was started with, and keeps it from programs that are started later.
///
/// To be called before anything else is opened, and once for each number: from there on it is the caller's, and is
/// closed when dropped. 0, 1 and 2 are the standard streams, which have other owners.
///
/// # Errors
///
/// `EBADF` where there is no such descriptor, or one that is not to be taken.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed for the two calls below alone, which report a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed)?;
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: it is open, as was just seen, and nobody in this process owns it: callers take it before they open
    // anything, and the standard streams are excepted above.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn it_is_owned_and_not_inherited_any_more() {
        let file = File::open("/dev/null").unwrap();
        let inherited = rustix::io::fcntl_dupfd_cloexec(&file, 100).unwrap();
        fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
        let number = inherited.into_raw_fd();
        let taken = take_inherited(number).unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        assert!(fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        assert_eq!(File::from(taken).read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn standard_streams_and_numbers_that_are_not_open_are_refused() {
        for number in [-1, 0, 1, 2, 100_000] {
            let error = take_inherited(number).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{number}");
        }
    }
}

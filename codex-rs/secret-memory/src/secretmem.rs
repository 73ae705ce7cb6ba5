//! `memfd_secret(2)`, which has no wrapper in the C library.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// Replaces the `len` bytes of address space at `at` by secret memory.
///
/// `at` must lie in a mapping of the caller's own, on a page boundary, that
/// nothing else refers to: it is replaced as a whole.
///
/// # Errors
///
/// `ENOSYS` where the kernel has no secret memory or was not started with it
/// (`secretmem.enable` before Linux 6.5), `EPERM` where a container filters the
/// call, `EAGAIN` or `ENOMEM` where `RLIMIT_MEMLOCK` is used up. On an error
/// the old mapping is still there.
pub(crate) fn map_over(at: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: memfd_secret(2) takes one flag word and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the call above returned this descriptor to us and to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let size = libc::off_t::try_from(len).map_err(io::Error::other)?;
    // SAFETY: ftruncate(2) on a descriptor we own; it touches no memory of ours.
    if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `at..at + len` is the caller's own reservation that nothing refers
    // to, so replacing it (MAP_FIXED) can take no memory from under anybody. The
    // mapping keeps the memory alive after the descriptor is closed.
    let mapped = unsafe {
        libc::mmap(
            at.as_ptr().cast(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_FIXED,
            fd.as_raw_fd(),
            0,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

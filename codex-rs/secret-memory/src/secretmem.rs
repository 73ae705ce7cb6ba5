//! `memfd_secret(2)`, which has no wrapper in the C library.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
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
    let memory = unsafe { File::from_raw_fd(fd) };
    memory.set_len(u64::try_from(len).map_err(io::Error::other)?)?;
    // Mapped elsewhere first: a mapping asked for in place (MAP_FIXED) has already
    // taken away what was there by the time that it fails.
    // SAFETY: a new mapping at an address the kernel picks; no existing memory is
    // concerned, and it outlives the descriptor.
    let fresh = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            memory.as_raw_fd(),
            0,
        )
    };
    if fresh == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: moves the mapping just made, which nothing refers to, over
    // `at..at + len`, which is the caller's own reservation that nothing refers
    // to either.
    let moved = unsafe {
        libc::mremap(
            fresh,
            len,
            len,
            libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
            at.as_ptr(),
        )
    };
    if moved == libc::MAP_FAILED {
        let error = io::Error::last_os_error();
        // SAFETY: the mapping made above, which nothing refers to.
        unsafe { libc::munmap(fresh, len) };
        return Err(error);
    }
    Ok(())
}

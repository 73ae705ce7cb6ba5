//! Address space on Unix: pages that can be used, between two that cannot.

use std::io;
use std::ptr::NonNull;

/// Pages of address space that can be used, between two that cannot.
///
/// Reading or writing past either end of the middle kills the process
/// instead of reaching a neighbour.
pub(crate) struct Guarded {
    base: NonNull<u8>,
    /// Of a guard, in bytes: one page.
    guard: usize,
    /// Of what is between them, in bytes: whole pages.
    middle: usize,
}

impl Guarded {
    /// Reserves room for `capacity` bytes and the guards, with no access at all.
    pub(crate) fn reserve(capacity: usize) -> io::Result<Self> {
        // SAFETY: sysconf(3) reads a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let guard = usize::try_from(page).map_err(io::Error::other)?;
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let middle = capacity
            .checked_next_multiple_of(guard)
            .ok_or_else(too_large)?;
        let length = middle.checked_add(guard * 2).ok_or_else(too_large)?;
        // SAFETY: a new private mapping at an address the kernel picks; no
        // existing memory is concerned.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self {
            base,
            guard,
            middle,
        })
    }

    /// The first byte of the middle.
    pub(crate) fn open_start(&self) -> NonNull<u8> {
        // SAFETY: one page into a mapping of three or more.
        unsafe { self.base.add(self.guard) }
    }

    /// Puts secret memory in the middle.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_secret(&self) -> io::Result<()> {
        crate::secretmem::map_over(self.open_start(), self.middle)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open_secret(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Allows reading and writing the middle.
    pub(crate) fn make_writable(&self) -> io::Result<()> {
        self.protect(libc::PROT_READ | libc::PROT_WRITE)
    }

    /// Allows only reading the middle.
    pub(crate) fn make_read_only(&self) -> io::Result<()> {
        self.protect(libc::PROT_READ)
    }

    /// `mprotect(2)` on the middle.
    fn protect(&self, access: libc::c_int) -> io::Result<()> {
        // SAFETY: the middle is ours; callers that take access away hold
        // the only reference to it.
        let done =
            unsafe { libc::mprotect(self.open_start().as_ptr().cast(), self.middle, access) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// `mlock(2)` on the middle.
    pub(crate) fn lock(&self) -> io::Result<()> {
        // SAFETY: locking changes where the page may be kept, not what it holds.
        let done = unsafe { libc::mlock(self.open_start().as_ptr().cast(), self.middle) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// `madvise(2)` on the middle; true where the advice was taken.
    #[cfg(target_os = "linux")]
    fn advise(&self, advice: libc::c_int) -> bool {
        // SAFETY: the advice given concerns dumps and forks of a page that is ours.
        unsafe { libc::madvise(self.open_start().as_ptr().cast(), self.middle, advice) == 0 }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn keep_out_of_dumps(&self) -> bool {
        self.advise(libc::MADV_DONTDUMP)
    }

    /// Children do not get the page at all. Works on shared mappings too.
    #[cfg(target_os = "linux")]
    pub(crate) fn drop_on_fork(&self) -> bool {
        self.advise(libc::MADV_DONTFORK)
    }

    /// Children get a page of zeroes. Works on private mappings only, where it
    /// is better than none at all: a stray read finds nothing and does not crash.
    #[cfg(target_os = "linux")]
    pub(crate) fn wipe_on_fork(&self) -> bool {
        self.advise(libc::MADV_WIPEONFORK)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn keep_out_of_dumps(&self) -> bool {
        false
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn drop_on_fork(&self) -> bool {
        false
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn wipe_on_fork(&self) -> bool {
        false
    }
}

/// How many bytes this process may lock (`getrlimit(2)`, `RLIMIT_MEMLOCK`), if that is known.
pub(crate) fn lock_limit() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call fills the one struct it is given.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    (done == 0).then_some(limit.rlim_cur)
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: all of these pages were mapped by `reserve`, nothing refers to
        // them once their owner goes, and unmapping also unlocks.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.middle + self.guard * 2) };
    }
}

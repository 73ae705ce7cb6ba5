//! Address space on Unix: three pages, of which the middle one can be used.

use std::io;
use std::ptr::NonNull;

/// Three pages of address space: one that can be used, between two that cannot.
///
/// Reading or writing past either end of the middle page kills the process
/// instead of reaching a neighbour.
pub(crate) struct Guarded {
    base: NonNull<u8>,
    page: usize,
}

impl Guarded {
    /// Reserves the three pages with no access at all.
    pub(crate) fn reserve() -> io::Result<Self> {
        // SAFETY: sysconf(3) reads a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).map_err(io::Error::other)?;
        // SAFETY: a new private mapping at an address the kernel picks; no
        // existing memory is concerned.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page * 3,
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
        Ok(Self { base, page })
    }

    /// The first byte of the middle page.
    pub(crate) fn open_start(&self) -> NonNull<u8> {
        // SAFETY: one page into a mapping of three.
        unsafe { self.base.add(self.page) }
    }

    /// Puts secret memory in the middle.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_secret(&self) -> io::Result<()> {
        crate::secretmem::map_over(self.open_start(), self.page)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open_secret(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Allows reading and writing the middle page.
    pub(crate) fn make_writable(&self) -> io::Result<()> {
        self.protect(libc::PROT_READ | libc::PROT_WRITE)
    }

    /// Allows only reading the middle page.
    pub(crate) fn make_read_only(&self) -> io::Result<()> {
        self.protect(libc::PROT_READ)
    }

    /// `mprotect(2)` on the middle page.
    fn protect(&self, access: libc::c_int) -> io::Result<()> {
        // SAFETY: the middle page is ours; callers that take access away hold
        // the only reference to it.
        let done = unsafe { libc::mprotect(self.open_start().as_ptr().cast(), self.page, access) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// `mlock(2)` on the middle page.
    pub(crate) fn lock(&self) -> io::Result<()> {
        // SAFETY: locking changes where the page may be kept, not what it holds.
        let done = unsafe { libc::mlock(self.open_start().as_ptr().cast(), self.page) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// `madvise(2)` on the middle page; true where the advice was taken.
    #[cfg(target_os = "linux")]
    fn advise(&self, advice: libc::c_int) -> bool {
        // SAFETY: the advice given concerns dumps and forks of a page that is ours.
        unsafe { libc::madvise(self.open_start().as_ptr().cast(), self.page, advice) == 0 }
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
        // SAFETY: the three pages were mapped by `reserve`, nothing refers to
        // them once their owner goes, and unmapping also unlocks.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.page * 3) };
    }
}

//! Pages for one secret: reserve, protect, fill, then seal for good or lend for a while.

use std::fmt;
use std::io;
use std::slice;

use zeroize::Zeroize;

use crate::mapping::Guarded;
use crate::protection::{Backing, Protection, SecretMemoryRefused};

/// How many bytes [`SecretPage::new`] offers, whatever the size of the system's pages.
pub const CAPACITY: usize = 4096;

/// Why there is no page to put a secret in.
#[derive(Debug)]
pub enum PageError {
    /// The kernel gave no memory.
    Map(io::Error),
    /// The memory cannot be kept out of swap because of a limit, and that was not waived.
    Lock(io::Error),
    /// The same, and it is no limit that is in the way: something refuses `mlock(2)` itself.
    LockFiltered(io::Error),
    /// The memory could not be made read-only after it was filled.
    Seal(io::Error),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map(_) => "could not map a page for the key",
            Self::Lock(_) => {
                "could not lock the key's page in RAM (raise the limit: `ulimit -l`, LimitMEMLOCK= of a unit, `--ulimit \
                 memlock=1048576` of a container; a key on stdin needs one page, keys that change up to 128 KiB)"
            }
            Self::LockFiltered(_) => {
                "could not lock the key's page in RAM: it is not a limit that refuses mlock(2) but a \
                 filter of system calls (seccomp, such as a container's profile); start the container with a profile \
                 that allows mlock (`--security-opt seccomp=FILE`), which takes no capability"
            }
            Self::Seal(_) => "could not make the key's page read-only",
        })
    }
}

impl std::error::Error for PageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Map(cause)
            | Self::Lock(cause)
            | Self::LockFiltered(cause)
            | Self::Seal(cause) => Some(cause),
        }
    }
}

/// A page, or several in a row, for one secret: filled through [`as_mut`](SecretPage::as_mut),
/// then [sealed](SecretPage::seal) for the life of the process, or made
/// [read-only](SecretPage::into_read_only) until the secret is replaced.
///
/// Dropped unsealed, it is wiped and unmapped. It has no `Clone`, and its
/// `Debug` shows the protection, never the bytes.
pub struct SecretPage {
    guarded: Guarded,
    capacity: usize,
    protection: Protection,
}

// SAFETY: the page is owned memory without thread affinity; access goes through
// `&self` and `&mut self` as for any owned buffer.
unsafe impl Send for SecretPage {}

impl SecretPage {
    /// Maps, guards and locks a fresh page of zeroes, [`CAPACITY`] bytes of it.
    ///
    /// # Errors
    ///
    /// As [`with_capacity`](Self::with_capacity).
    pub fn new(allow_unlocked: bool) -> Result<Self, PageError> {
        Self::with_capacity(CAPACITY, allow_unlocked)
    }

    /// Maps, guards and locks as many fresh pages of zeroes as `capacity` bytes take.
    ///
    /// Secret memory is tried first, then private anonymous memory. With
    /// `allow_unlocked`, a page that cannot be locked is accepted and says so in
    /// its [`Protection`].
    ///
    /// # Errors
    ///
    /// [`PageError::Map`] when there is no memory to map, [`PageError::Lock`]
    /// or [`PageError::LockFiltered`] when it cannot be locked and that was not waived.
    pub fn with_capacity(capacity: usize, allow_unlocked: bool) -> Result<Self, PageError> {
        let guarded = Guarded::reserve(capacity).map_err(PageError::Map)?;
        let secret = guarded.open_secret();
        let refused = secret.as_ref().err().map(SecretMemoryRefused::from);
        let protection = if secret.is_ok() {
            Protection {
                backing: Backing::SecretMem,
                refused,
                locked: true,
                undumpable: guarded.keep_out_of_dumps(),
                hidden_from_children: guarded.drop_on_fork(),
            }
        } else {
            guarded.make_writable().map_err(PageError::Map)?;
            let locked = match guarded.lock() {
                Ok(()) => true,
                Err(_) if allow_unlocked => false,
                Err(cause) if is_of_a_limit(&cause, crate::mapping::lock_limit()) => {
                    return Err(PageError::Lock(cause));
                }
                Err(cause) => return Err(PageError::LockFiltered(cause)),
            };
            Protection {
                backing: Backing::Anonymous,
                refused,
                locked,
                undumpable: guarded.keep_out_of_dumps(),
                hidden_from_children: guarded.wipe_on_fork(),
            }
        };
        Ok(Self {
            guarded,
            capacity,
            protection,
        })
    }

    /// What the kernel granted.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Makes the page read-only and gives its bytes for good.
    ///
    /// The mapping is never undone: a secret that everything refers to lives as
    /// long as the process, and ends with it.
    ///
    /// # Errors
    ///
    /// [`PageError::Seal`] when the kernel refuses; the page is wiped then.
    pub fn seal(self) -> Result<&'static [u8], PageError> {
        self.guarded.make_read_only().map_err(PageError::Seal)?;
        let (start, capacity) = (self.guarded.open_start(), self.capacity);
        // Not dropped: a drop would wipe and unmap what we hand out below.
        let _ = std::mem::ManuallyDrop::new(self);
        // SAFETY: the pages between the guards are mapped and readable, at least `capacity`
        // long, and never unmapped or written again: their only owner has been given up.
        Ok(unsafe { slice::from_raw_parts(start.as_ptr(), capacity) })
    }

    /// Makes the page read-only, until it is [used again](ReadOnlyPage::into_writable).
    ///
    /// # Errors
    ///
    /// [`PageError::Seal`] when the kernel refuses; the page is wiped then.
    pub fn into_read_only(self) -> Result<ReadOnlyPage, PageError> {
        self.guarded.make_read_only().map_err(PageError::Seal)?;
        Ok(ReadOnlyPage(self))
    }

    /// Overwrites all of it with zeroes.
    pub fn wipe(&mut self) {
        self.as_mut().zeroize();
    }
}

/// A page that was filled and is only read: for a secret that is replaced some day, whose memory
/// serves again then. Dropped, it is wiped and unmapped.
///
/// Its `Debug` shows the protection, never the bytes.
#[derive(Debug)]
pub struct ReadOnlyPage(SecretPage);

// SAFETY: nothing is written through a shared reference to it, and its memory has no thread
// affinity.
unsafe impl Sync for ReadOnlyPage {}

impl ReadOnlyPage {
    /// The bytes, as many as were asked for.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Wipes the page and gives it back for the next secret.
    ///
    /// # Errors
    ///
    /// [`PageError::Seal`] when the kernel does not let it be written; it is unmapped then.
    pub fn into_writable(self) -> Result<SecretPage, PageError> {
        let Self(mut page) = self;
        page.guarded.make_writable().map_err(PageError::Seal)?;
        page.wipe();
        Ok(page)
    }
}

impl AsRef<[u8]> for SecretPage {
    /// The bytes, as many as were asked for.
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the pages between the guards are mapped readable for as long as `self`
        // lives, are at least `capacity` long, and were zeroed by the kernel.
        unsafe { slice::from_raw_parts(self.guarded.open_start().as_ptr(), self.capacity) }
    }
}

impl AsMut<[u8]> for SecretPage {
    /// The writable bytes, as many as were asked for, zero where nothing was written.
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_ref`, and writable until sealed or read-only, which consumes
        // `self`; `&mut self` makes the access exclusive.
        unsafe { slice::from_raw_parts_mut(self.guarded.open_start().as_ptr(), self.capacity) }
    }
}

impl Drop for SecretPage {
    fn drop(&mut self) {
        // A failed seal may have left the page read-only; wiping must still work.
        if self.guarded.make_writable().is_ok() {
            self.wipe();
        }
    }
}

impl fmt::Debug for SecretPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretPage")
            .field("protection", &self.protection)
            .finish_non_exhaustive()
    }
}

/// Whether a limit of so many bytes explains why `mlock(2)` failed. By its manual page it fails with
/// `ENOMEM` (or `EAGAIN`) beyond a limit, and with `EPERM` only where the limit is 0.
fn is_of_a_limit(cause: &io::Error, limit: Option<u64>) -> bool {
    match cause.raw_os_error() {
        #[cfg(unix)]
        Some(libc::EPERM) => limit.is_none_or(|limit| limit == 0),
        #[cfg(unix)]
        Some(libc::ENOMEM | libc::EAGAIN) => true,
        _ => limit.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_filter_is_told_from_a_limit() {
        for (errno, limit, is_limit) in [
            (libc::ENOMEM, 0, true),
            (libc::ENOMEM, 4096, true),
            (libc::EAGAIN, 65536, true),
            (libc::EPERM, 0, true),
            (libc::EPERM, 65536, false),
            (libc::EPERM, u64::MAX, false),
            (libc::ENOSYS, 65536, false),
            (libc::EACCES, 0, false),
        ] {
            let cause = io::Error::from_raw_os_error(errno);
            assert_eq!(
                is_of_a_limit(&cause, Some(limit)),
                is_limit,
                "{cause} {limit}"
            );
        }
    }

    #[test]
    fn a_fresh_page_is_zero_and_as_long_as_promised() {
        let page = SecretPage::new(true).unwrap();
        assert_eq!(page.as_ref(), [0; CAPACITY]);
    }

    #[test]
    fn what_was_written_is_there_after_sealing() {
        let mut page = SecretPage::new(true).unwrap();
        page.as_mut()[..6].copy_from_slice(b"secret");
        let sealed = page.seal().unwrap();
        assert_eq!(&sealed[..6], b"secret");
        assert_eq!(&sealed[6..], [0; CAPACITY - 6]);
    }

    #[test]
    fn several_pages_are_one_stretch_of_memory() {
        let mut page = SecretPage::with_capacity(20_000, true).unwrap();
        assert_eq!(page.as_ref(), [0; 20_000]);
        page.as_mut().fill(b'k');
        assert_eq!(page.seal().unwrap(), [b'k'; 20_000]);
    }

    #[test]
    fn a_page_serves_again_for_the_next_secret_and_is_empty_then() {
        let mut page = SecretPage::with_capacity(5_000, true).unwrap();
        for secret in [b"first!", b"second"] {
            page.as_mut()[4_990..4_996].copy_from_slice(secret);
            let filled = page.into_read_only().unwrap();
            assert_eq!(&filled.bytes()[4_990..4_996], secret);
            let shown = format!("{filled:?}");
            assert!(
                !shown.contains("first") && !shown.contains("115"),
                "{shown}"
            );
            page = filled.into_writable().unwrap();
            assert_eq!(page.as_ref(), [0; 5_000]);
        }
    }

    #[test]
    fn debug_shows_no_byte_of_it() {
        let mut page = SecretPage::new(true).unwrap();
        page.as_mut()
            .get_mut(..6)
            .unwrap()
            .copy_from_slice(b"secret");
        assert!(!format!("{page:?}").contains("secret"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "nothing is locked there")]
    fn a_page_is_locked_on_this_system_or_the_error_says_why() {
        match SecretPage::new(false) {
            Ok(page) => assert!(page.protection().locked),
            Err(PageError::Lock(cause) | PageError::LockFiltered(cause)) => {
                assert!(cause.raw_os_error().is_some());
            }
            Err(other) => panic!("neither locked nor a locking error: {other}"),
        }
    }
}

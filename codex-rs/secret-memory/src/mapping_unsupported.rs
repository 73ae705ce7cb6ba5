//! Where there is no `mmap(2)`: a heap allocation, wiped on drop, and no claim
//! beyond that. The page reports every protection as missing.

use std::io;
use std::ptr::NonNull;

/// A pointer and no `Box`: moving a `Box` ends every pointer into it, and a sealed page is handed
/// out while its owner is given up.
pub(crate) struct Guarded {
    bytes: NonNull<[u8]>,
}

impl Guarded {
    pub(crate) fn reserve(capacity: usize) -> io::Result<Self> {
        let bytes = vec![0; capacity].into_boxed_slice();
        Ok(Self {
            bytes: NonNull::from(Box::leak(bytes)),
        })
    }

    pub(crate) fn open_start(&self) -> NonNull<u8> {
        self.bytes.cast()
    }

    pub(crate) fn open_secret(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn make_writable(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn make_read_only(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn lock(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn keep_out_of_dumps(&self) -> bool {
        false
    }

    pub(crate) fn drop_on_fork(&self) -> bool {
        false
    }

    pub(crate) fn wipe_on_fork(&self) -> bool {
        false
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: this came from a `Box` of the same type, and its only owner goes away here.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}

/// There is no such limit here.
pub(crate) fn lock_limit() -> Option<u64> {
    None
}

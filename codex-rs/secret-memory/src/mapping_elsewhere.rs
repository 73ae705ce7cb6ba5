//! Where there is no `mmap(2)`: a heap allocation, wiped on drop, and no claim
//! beyond that. The page reports every protection as missing.

use std::io;
use std::ptr::NonNull;

use crate::page::CAPACITY;

/// A pointer and no `Box`: moving a `Box` ends every pointer into it, and a sealed page is handed
/// out while its owner is given up.
pub(crate) struct Guarded {
    bytes: NonNull<[u8; CAPACITY]>,
}

impl Guarded {
    pub(crate) fn reserve() -> io::Result<Self> {
        Ok(Self {
            bytes: NonNull::from(Box::leak(Box::new([0; CAPACITY]))),
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

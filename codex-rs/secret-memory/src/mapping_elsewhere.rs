//! Where there is no `mmap(2)`: a heap allocation, wiped on drop, and no claim
//! beyond that. The page reports every protection as missing.

use std::cell::UnsafeCell;
use std::io;
use std::ptr::NonNull;

use crate::page::CAPACITY;

pub(crate) struct Guarded {
    bytes: Box<UnsafeCell<[u8; CAPACITY]>>,
}

impl Guarded {
    pub(crate) fn reserve() -> io::Result<Self> {
        Ok(Self {
            bytes: Box::new(UnsafeCell::new([0; CAPACITY])),
        })
    }

    pub(crate) fn open_start(&self) -> NonNull<u8> {
        NonNull::from(self.bytes.as_ref()).cast()
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

/// There is no such limit here.
pub(crate) fn lock_limit() -> Option<u64> {
    None
}

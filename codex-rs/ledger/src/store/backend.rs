//! The file, as redb uses it.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::error::LedgerError;
use crate::store::positioned::{read_exact_at, write_all_at};

/// The bytes of redb's header: its magic number is the first nine, and is written after the others.
const MAGIC: usize = 9;
const HEADER: usize = 320;

/// An interrupted creation leaves no file larger than this.
const LARGEST_NEW: u64 = 4 * 1024 * 1024;

/// A file that no other process may open as a ledger, for as long as one of its clones is there. redb's own backend
/// unlocks the file when a database is closed; here that happens after each I/O error, and another is opened.
#[derive(Clone, Debug)]
pub(super) struct LockedFile {
    file: Arc<File>,
    #[cfg(test)]
    pub(super) full: Arc<AtomicBool>,
}

impl LockedFile {
    pub(super) fn new(file: File) -> Result<Self, LedgerError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Locked),
            Err(TryLockError::Error(error)) => return Err(LedgerError::Io(error)),
        }
        begin_anew_if_interrupted(&file)?;
        Ok(Self {
            file: Arc::new(file),
            #[cfg(test)]
            full: Arc::default(),
        })
    }

    #[cfg(test)]
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    #[cfg(not(test))]
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "a test makes the disk full"
    )]
    fn room(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A process that was killed while it created the file leaves it without the magic number, and redb would not have
/// it any more. Nothing else is in it then.
fn begin_anew_if_interrupted(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length == 0 || length > LARGEST_NEW {
        return Ok(());
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    read_exact_at(file, &mut bytes, 0)?;
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    if bytes.get(..MAGIC).is_some_and(zero) && bytes.get(HEADER..).is_some_and(zero) {
        file.set_len(0)?;
    }
    Ok(())
}

impl StorageBackend for LockedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        read_exact_at(&self.file, out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        write_all_at(&self.file, data, offset)
    }
}

//! One writer for each session, also beside OpenAI's Codex CLI: the same lock files, taken in the same way.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::trusted;

const DIRECTORY: &str = "thread-writer-locks";
/// Held while a lock file comes or goes.
const COORDINATION: &str = ".coordination.lock";
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Held as long as the session may be written.
#[derive(Debug)]
pub(super) struct WriterLock {
    directory: PathBuf,
    path: PathBuf,
    /// `None` where the file system has no locks.
    _file: Option<File>,
}

impl WriterLock {
    /// Takes the lock of a session; `None` if somebody has it.
    ///
    /// # Errors
    ///
    /// The lock files cannot be made.
    pub(super) fn take(home: &Path, id: Uuid) -> io::Result<Option<Self>> {
        let directory = home.join(DIRECTORY);
        trusted::make_directories(&directory)?;
        let _coordination = coordinate(&directory)?;
        let path = directory.join(format!("{id}.lock"));
        let file = trusted::open_lock(&path)?;
        let file = match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => None,
        };
        Ok(Some(Self {
            directory,
            path,
            _file: file,
        }))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        if let Ok(_coordination) = coordinate(&self.directory) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Nobody holds it for longer than it takes to open a file.
fn coordinate(directory: &Path) -> io::Result<File> {
    let file = trusted::open_lock(&directory.join(COORDINATION))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
            // Without locks there is nothing to wait for.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_writer() {
        let home = tempfile::tempdir().unwrap();
        let id = Uuid::now_v7();
        let lock = WriterLock::take(home.path(), id).unwrap();
        assert!(lock.is_some());
        assert!(WriterLock::take(home.path(), id).unwrap().is_none());
        assert!(
            WriterLock::take(home.path(), Uuid::now_v7())
                .unwrap()
                .is_some()
        );
        drop(lock);
        assert!(WriterLock::take(home.path(), id).unwrap().is_some());
    }
}

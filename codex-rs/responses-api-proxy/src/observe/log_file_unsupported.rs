//! A file that lines are appended to, where there is no signal to have it opened anew by, and where whose a file is
//! is not looked at.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use codex_trusted_path::ReplaceableBy;

use crate::observe::log_writer::LogTarget;

/// Why it is not written.
#[derive(Debug)]
pub(crate) struct LogFileError {
    path: PathBuf,
    cause: io::Error,
}

impl fmt::Display for LogFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be appended to", self.path.display())
    }
}

impl std::error::Error for LogFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens `path` for appending, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// [`LogFileError`] names the path.
    pub(crate) fn open(path: &Path, _becomes: Option<u32>) -> Result<Self, LogFileError> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        match file {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
            }),
            Err(cause) => Err(LogFileError {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    pub(crate) fn may_be_made_anew(&self) -> bool {
        false
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Not known here.
    #[expect(clippy::unused_self, reason = "as where it is known")]
    pub(crate) fn replaceable_by(&self) -> Option<ReplaceableBy> {
        None
    }

    /// The last bytes of the file, at most `most`, and how long it is.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn end(&self, most: u64) -> io::Result<(Vec<u8>, u64)> {
        let mut end = Vec::new();
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        file.take(most).read_to_end(&mut end)?;
        Ok((end, length))
    }

    /// There is no sandbox that would have to leave it.
    #[expect(clippy::unused_self, reason = "as where there is one")]
    pub(crate) fn directory(&self) -> Option<File> {
        None
    }
}

impl LogTarget for LogFile {
    fn reopen(&mut self) -> bool {
        false
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

//! The file that server info is written to, where files have no owner that could be asked for.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use codex_server_info::{MAX_BYTES, ServerInfo};
use codex_trusted_path::ReplaceableBy;

/// Why the file is not written.
#[derive(Debug)]
pub(crate) enum Cause {
    Link,
    NotOurs,
    Io(io::Error),
}

impl fmt::Display for Cause {
    /// The end of a sentence that begins with the name of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("is a symbolic link; name the file itself"),
            Self::NotOurs => {
                f.write_str("holds something else than server info; remove it or name another file")
            }
            Self::Io(_) => f.write_str("cannot be written"),
        }
    }
}

impl From<io::Error> for Cause {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

/// The file, removed when this is dropped if it still says what was written.
#[derive(Debug)]
pub(crate) struct InfoFile {
    path: PathBuf,
    file: Option<File>,
    written: Option<Metadata>,
}

impl InfoFile {
    /// Opens `path` for writing, parents made as needed.
    ///
    /// # Errors
    ///
    /// [`Cause`].
    pub(crate) fn open(path: &Path, private: bool) -> Result<Self, Cause> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Err(Cause::Link);
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut content = Vec::new();
        Read::by_ref(&mut file)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut content)?;
        file.rewind()?;
        if !content.is_empty() && !ServerInfo::is_all_of(&content) {
            return Err(Cause::NotOurs);
        }
        if private {
            drop(file);
            fs::remove_file(path)?;
            file = OpenOptions::new().write(true).create_new(true).open(path)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            written: None,
        })
    }

    /// Writes the line in the place of what was there, once.
    ///
    /// # Errors
    ///
    /// When it cannot be written whole.
    pub(crate) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.set_len(0)?;
        file.write_all(line)?;
        self.written = Some(file.metadata()?);
        Ok(())
    }

    /// Not known before it is opened.
    pub(crate) fn check(_path: &Path, _private: bool) -> Result<(), Cause> {
        Ok(())
    }

    /// As far as is known.
    pub(crate) fn is_removable(&self) -> bool {
        true
    }

    /// None has to be held open here.
    pub(crate) fn directory(&self) -> Option<File> {
        None
    }

    /// Not known here.
    pub(crate) fn replaceable_by(&self) -> Option<ReplaceableBy> {
        None
    }
}

impl Drop for InfoFile {
    fn drop(&mut self) {
        let is_ours = self.written.as_ref().is_some_and(|ours| {
            fs::symlink_metadata(&self.path).is_ok_and(|found| {
                found.is_file()
                    && ours.len() == found.len()
                    && ours.modified().ok() == found.modified().ok()
            })
        });
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

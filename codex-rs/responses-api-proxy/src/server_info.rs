//! Port and process id for whoever waits, in a file.
//!
//! Written in place, with one write: codex-action makes the file beforehand, in
//! a directory where we may not make or rename one. Whoever can choose what the
//! path leads to must not choose what a root process overwrites: links are
//! refused, and a file that holds anything but a server-info line is left alone,
//! whichever way the path led to it.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

/// Why the file could not be written.
#[derive(Debug)]
pub(crate) struct ServerInfoError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Link,
    SeveralNames,
    Kind,
    NotOurs,
    Io(io::Error),
}

impl fmt::Display for ServerInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.cause {
            Cause::Link => write!(
                f,
                "--server-info {path} is a symbolic link; name the file itself"
            ),
            Cause::SeveralNames => write!(
                f,
                "--server-info {path} is a file with more than one name (hard link); remove it"
            ),
            Cause::Kind => write!(
                f,
                "--server-info {path} is neither a file, a FIFO nor a character device"
            ),
            Cause::NotOurs => write!(
                f,
                "--server-info {path} holds something else than server info; remove it or name \
                 another file"
            ),
            Cause::Io(_) => write!(f, "could not write --server-info {path}"),
        }
    }
}

impl std::error::Error for ServerInfoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Io(cause) => Some(cause),
            _ => None,
        }
    }
}

/// The file: opened early, written once there is something to say, removed when
/// this is dropped if it still says it.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    path: PathBuf,
    /// Closed once it is written: the reader of a FIFO waits for that.
    file: Option<File>,
    /// The regular file as it was when we had written it; it alone is ours to
    /// remove, and only while nobody wrote it after us.
    written: Option<Metadata>,
}

impl ServerInfo {
    /// Opens `path` for writing, parents made as needed, and judges what it is. If it
    /// is to hold a token it is a new file that its owner alone can read.
    ///
    /// # Errors
    ///
    /// [`ServerInfoError`] names the path and what is wrong with it.
    pub(crate) fn open(path: &Path, private: bool) -> Result<Self, ServerInfoError> {
        match open_in_place(path, private) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file: Some(file),
                written: None,
            }),
            Err(cause) => Err(ServerInfoError {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    /// Writes `{"port":N,"pid":N}`, with the path of a Unix socket as `socket` and a
    /// token as `client_token`, and a newline: whoever sees it may connect.
    ///
    /// # Errors
    ///
    /// [`ServerInfoError`] names the path and the cause.
    pub(crate) fn announce(
        &mut self,
        port: Option<u16>,
        socket: Option<&Path>,
        client_token: Option<&str>,
    ) -> Result<(), ServerInfoError> {
        let content = Content {
            port,
            pid: std::process::id(),
            socket,
            client_token,
        };
        self.replace(&content).map_err(|cause| ServerInfoError {
            path: self.path.clone(),
            cause: Cause::Io(cause),
        })
    }

    fn replace(&mut self, content: &Content<'_>) -> io::Result<()> {
        let mut line = serde_json::to_string(content)?;
        line.push('\n');
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let is_regular = file.metadata()?.is_file();
        if is_regular {
            file.set_len(0)?;
        }
        let written = file.write(line.as_bytes())?;
        if written < line.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        if is_regular {
            self.written = Some(file.metadata()?);
        }
        Ok(())
    }

    /// The directory to remove it from.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let is_regular = self.file.as_ref()?.metadata().ok()?.is_file();
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        is_regular.then(|| directory.to_owned())
    }
}

impl From<io::Error> for Cause {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl Drop for ServerInfo {
    fn drop(&mut self) {
        // Another proxy may have been told the same path. Not being allowed to
        // remove it (codex-action gives the file to root) is no error.
        if let Some(ours) = &self.written
            && fs::symlink_metadata(&self.path).is_ok_and(|found| is_untouched(ours, &found))
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open_in_place(path: &Path, private: bool) -> Result<File, Cause> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if private && fs::symlink_metadata(path).is_err() {
        return Ok(create_private(path)?);
    }
    let mut file = open_itself(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        refuse_several_names(&found)?;
        refuse_other_content(&mut file)?;
    } else if private || !is_stream(&found) {
        return Err(Cause::Kind);
    }
    if private {
        // Whoever had the old file open would read the token in it.
        fs::remove_file(path)?;
        return Ok(create_private(path)?);
    }
    Ok(file)
}

/// A file that is new, ours, and that nobody else can ever have opened.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Looks at the beginning alone: the file may be as large as its owner likes.
fn refuse_other_content(file: &mut File) -> Result<(), Cause> {
    let mut beginning = Vec::new();
    let expected = b"{\"p";
    let most = u64::try_from(expected.len()).unwrap_or(u64::MAX);
    Read::by_ref(file).take(most).read_to_end(&mut beginning)?;
    file.rewind()?;
    if beginning.is_empty() || beginning == expected {
        Ok(())
    } else {
        Err(Cause::NotOurs)
    }
}

/// Opens for writing without following a symbolic link at the end of the path,
/// and without truncating what may turn out not to be ours.
#[cfg(unix)]
fn open_itself(path: &Path) -> Result<File, Cause> {
    use std::os::unix::fs::OpenOptionsExt;

    // Only a regular file is read too: a FIFO that is open both ways has no end.
    let is_stream = fs::symlink_metadata(path).is_ok_and(|found| is_stream(&found));
    let opened = OpenOptions::new()
        .read(!is_stream)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => Cause::Link,
        _ => Cause::Io(error),
    })
}

#[cfg(unix)]
fn refuse_several_names(found: &Metadata) -> Result<(), Cause> {
    use std::os::unix::fs::MetadataExt;

    if found.nlink() > 1 {
        return Err(Cause::SeveralNames);
    }
    Ok(())
}

/// The same file, not written since; its owner and mode may have changed.
#[cfg(unix)]
fn is_untouched(ours: &Metadata, found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    let identity = |of: &Metadata| (of.dev(), of.ino(), of.size(), of.mtime(), of.mtime_nsec());
    found.is_file() && identity(ours) == identity(found)
}

#[cfg(not(unix))]
fn is_untouched(ours: &Metadata, found: &Metadata) -> bool {
    found.is_file() && ours.len() == found.len() && ours.modified().ok() == found.modified().ok()
}

#[cfg(unix)]
fn is_stream(found: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;

    found.file_type().is_fifo() || found.file_type().is_char_device()
}

#[cfg(not(unix))]
fn open_itself(path: &Path) -> Result<File, Cause> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(Cause::Link);
    }
    Ok(OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?)
}

#[cfg(not(unix))]
fn refuse_several_names(_found: &Metadata) -> Result<(), Cause> {
    Ok(())
}

#[cfg(not(unix))]
fn is_stream(_found: &Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests;

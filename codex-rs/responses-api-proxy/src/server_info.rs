//! Port and process id for whoever waits, in a file.
//!
//! Written in place, with one write: codex-action makes the file beforehand, in
//! a directory where we may not make or rename one. Whoever can choose what the
//! path leads to must not choose what a root process overwrites, so links are
//! refused.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

#[derive(Serialize)]
struct Content {
    port: u16,
    pid: u32,
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

/// The file, removed when this is dropped if it still says what we wrote.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    path: PathBuf,
    content: String,
    /// Only a regular file is ours to remove.
    removable: bool,
}

impl ServerInfo {
    /// Writes `{"port":N,"pid":N}` and a newline to `path`, parents made as needed.
    ///
    /// # Errors
    ///
    /// [`ServerInfoError`] names the path and what is wrong with it.
    pub(crate) fn write(path: &Path, port: u16) -> Result<Self, ServerInfoError> {
        let content = Content {
            port,
            pid: std::process::id(),
        };
        let put = || {
            let mut content = serde_json::to_string(&content).map_err(io::Error::from)?;
            content.push('\n');
            let removable = write_in_place(path, &content)?;
            Ok((content, removable))
        };
        let (content, removable) = put().map_err(|cause| ServerInfoError {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            path: path.to_owned(),
            content,
            removable,
        })
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
        // read or remove it (codex-action gives the file to root) is no error.
        let is_ours = self.removable
            && fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file())
            && fs::read_to_string(&self.path).is_ok_and(|found| found == self.content);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns whether it is a regular file.
fn write_in_place(path: &Path, content: &str) -> Result<bool, Cause> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = open_itself(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        refuse_several_names(&found)?;
        file.set_len(0)?;
    } else if !is_stream(&found) {
        return Err(Cause::Kind);
    }
    let written = file.write(content.as_bytes())?;
    if written < content.len() {
        return Err(io::Error::from(io::ErrorKind::WriteZero).into());
    }
    Ok(found.is_file())
}

/// Opens for writing without following a symbolic link at the end of the path,
/// and without truncating what may turn out not to be ours.
#[cfg(unix)]
fn open_itself(path: &Path) -> Result<File, Cause> {
    use std::os::unix::fs::OpenOptionsExt;

    let opened = OpenOptions::new()
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
fn refuse_several_names(found: &fs::Metadata) -> Result<(), Cause> {
    use std::os::unix::fs::MetadataExt;

    if found.nlink() > 1 {
        return Err(Cause::SeveralNames);
    }
    Ok(())
}

#[cfg(unix)]
fn is_stream(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;

    found.file_type().is_fifo() || found.file_type().is_char_device()
}

#[cfg(not(unix))]
fn open_itself(path: &Path) -> Result<File, Cause> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(Cause::Link);
    }
    Ok(OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?)
}

#[cfg(not(unix))]
fn refuse_several_names(_found: &fs::Metadata) -> Result<(), Cause> {
    Ok(())
}

#[cfg(not(unix))]
fn is_stream(_found: &fs::Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_one_line_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/for/it/info.json");
        let info = ServerInfo::write(&path, 4711).unwrap();
        let expected = format!("{{\"port\":4711,\"pid\":{}}}\n", std::process::id());
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        drop(info);
        assert!(!path.exists());
    }

    #[test]
    fn what_stood_there_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("info.json");
        fs::write(&path, "x".repeat(500)).unwrap();
        let _info = ServerInfo::write(&path, 1).unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("}\n"));
    }

    #[test]
    fn links_are_refused_and_their_targets_kept() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("precious");
        fs::write(&target, "precious").unwrap();
        let soft = dir.path().join("soft");
        std::os::unix::fs::symlink(&target, &soft).unwrap();
        let error = ServerInfo::write(&soft, 1).unwrap_err();
        assert!(matches!(error.cause, Cause::Link), "{error}");
        let hard = dir.path().join("hard");
        fs::hard_link(&target, &hard).unwrap();
        let error = ServerInfo::write(&hard, 1).unwrap_err();
        assert!(matches!(error.cause, Cause::SeveralNames), "{error}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = ServerInfo::write(dir.path(), 1).unwrap_err();
        assert!(matches!(error.cause, Cause::Io(_)), "{error}");
    }

    #[test]
    fn a_device_is_written_and_left_alone() {
        drop(ServerInfo::write(Path::new("/dev/null"), 1).unwrap());
        assert!(Path::new("/dev/null").exists());
    }

    #[test]
    fn a_file_that_another_proxy_took_over_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("info.json");
        let info = ServerInfo::write(&path, 1).unwrap();
        fs::write(&path, "{\"port\":2,\"pid\":3}\n").unwrap();
        drop(info);
        assert!(path.exists());
    }
}

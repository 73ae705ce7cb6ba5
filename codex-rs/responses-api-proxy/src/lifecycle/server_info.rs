//! Port and process id for whoever waits, in a file; `codex-server-info` has its format.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::lifecycle::info_file::{Cause, InfoFile};

/// Why the file could not be written.
#[derive(Debug)]
pub(crate) struct ServerInfoError {
    path: PathBuf,
    cause: Cause,
}

impl fmt::Display for ServerInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--server-info {} {}", self.path.display(), self.cause)
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

/// The file: opened early, written once there is something to say, removed when this is dropped if
/// it still says it.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    path: PathBuf,
    file: InfoFile,
}

impl ServerInfo {
    /// Opens `path` for writing, parents made as needed, and judges what it is. If it
    /// is to hold a token it is a new file that its owner alone can read.
    ///
    /// # Errors
    ///
    /// [`ServerInfoError`] names the path and what is wrong with it.
    pub(crate) fn open(path: &Path, private: bool) -> Result<Self, ServerInfoError> {
        match InfoFile::open(path, private) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
            }),
            Err(cause) => Err(ServerInfoError {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    /// Whether [`open`](Self::open) would succeed, as far as is known without doing it.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn check(path: &Path, private: bool) -> Result<(), ServerInfoError> {
        InfoFile::check(path, private).map_err(|cause| ServerInfoError {
            path: path.to_owned(),
            cause,
        })
    }

    /// Whether it can be removed at the end by the user that this process is now.
    pub(crate) fn is_removable(&self) -> bool {
        self.file.is_removable()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `{"port":N,"pid":N}`, with the path of a Unix socket as `socket` and a token as `client_token`, and a newline.
    ///
    /// # Errors
    ///
    /// When a path cannot be written as JSON.
    pub(crate) fn line(
        port: Option<u16>,
        socket: Option<&Path>,
        client_token: Option<&str>,
    ) -> std::io::Result<String> {
        let info = codex_server_info::ServerInfo::of_this_process(port, socket, client_token);
        info.to_line()
    }

    /// Writes that line: whoever sees it may connect.
    ///
    /// # Errors
    ///
    /// [`ServerInfoError`] names the path and the cause.
    pub(crate) fn announce(&mut self, line: &str) -> Result<(), ServerInfoError> {
        let written = self.file.write(line.as_bytes());
        written.map_err(|cause| ServerInfoError {
            path: self.path.clone(),
            cause: Cause::Io(cause),
        })
    }

    /// The directory to remove it from, open.
    pub(crate) fn directory(&self) -> Option<File> {
        self.file.directory()
    }

    /// What to warn of where somebody else can change what the file says, since the directory is theirs.
    pub(crate) fn warning(&self) -> Option<String> {
        let by = self.file.replaceable_by()?;
        Some(by.warning(&self.path, "send callers elsewhere"))
    }
}

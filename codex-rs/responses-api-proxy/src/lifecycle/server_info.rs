//! Port and process id for whoever waits, in a file.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::lifecycle::info_file::{Cause, InfoFile};

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

/// The same as it is found in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "what matters is that they are there and nothing else is"
)]
struct Found {
    port: Option<u16>,
    pid: u32,
    socket: Option<PathBuf>,
    client_token: Option<String>,
}

/// Whether this is what a server-info file holds, and all of it. What has more in it is somebody's
/// work, and not to be overwritten.
pub(crate) fn is_server_info(content: &[u8]) -> bool {
    // serde would take a list of the same values, too.
    let is_object = content.trim_ascii_start().starts_with(b"{");
    is_object
        && serde_json::from_slice::<Found>(content)
            .is_ok_and(|found| found.port.is_some() || found.socket.is_some())
}

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

/// Who else can change what the file says.
#[derive(Debug)]
pub(crate) struct Replaceable<'a> {
    path: &'a Path,
    by: &'a str,
}

impl fmt::Display for Replaceable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} can put another file in the place of {} and send callers elsewhere; name one in a \
             directory of your own",
            self.by,
            self.path.display()
        )
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
        let line = serde_json::to_string(&content).map_err(Into::into);
        line.and_then(|line| self.file.write(format!("{line}\n").as_bytes()))
            .map_err(|cause| ServerInfoError {
                path: self.path.clone(),
                cause: Cause::Io(cause),
            })
    }

    /// The directory to remove it from, open.
    pub(crate) fn directory(&self) -> Option<File> {
        self.file.directory()
    }

    /// Somebody who is trusted with what the file says, since the directory is theirs.
    pub(crate) fn replaceable(&self) -> Option<Replaceable<'_>> {
        let by = self.file.replaceable_by()?;
        let path = &self.path;
        Some(Replaceable { path, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_write_passes_for_server_info() {
        for ours in [
            r#"{"port":1,"pid":2}"#,
            "{\"port\":65535,\"pid\":2}\n",
            r#"{"pid":2,"socket":"/run/s"}"#,
            r#" {"port":1, "pid":2, "socket":"/s", "client_token":"t"} "#,
        ] {
            assert!(is_server_info(ours.as_bytes()), "{ours}");
        }
        for other in [
            "",
            "\n",
            "{",
            "{}",
            "precious",
            r#"{"port":1}"#,
            r#"{"pid":2}"#,
            r#"{"password":"x"}"#,
            r#"{"port":1,"pid":2,"precious":3}"#,
            r#"{"port":1,"pid":2} precious"#,
            r#"{"port":1,"pid":2}{"port":1,"pid":2}"#,
            r#"{"port":1,"port":1,"pid":2}"#,
            r#"{"port":70000,"pid":2}"#,
            r#"{"port":"1","pid":2}"#,
            r#"{"port":1,"pid":-2}"#,
            "[1,2]",
            "[1,2,null,null]",
            "{\"port\":1,\"pid\":2}\0",
        ] {
            assert!(!is_server_info(other.as_bytes()), "{other}");
        }
    }
}

//! What a running proxy wrote with `--server-info`.

use std::fmt;
use std::path::{Path, PathBuf};

use codex_trusted_path::{SmallFileError, read_small};
use serde::Deserialize;

use crate::config::secret::Secret;
use crate::transport::proxy_process::Writer;

/// The longest file, in bytes.
const MOST: u64 = 64 * 1024;

/// Where a proxy listens and how it may be called.
#[derive(Clone, Debug)]
pub(crate) struct ServerInfo {
    pub(crate) place: Place,
    /// Who wrote it, to be looked for before anything is sent.
    pub(crate) writer: Writer,
    /// What callers of this proxy have to send as their API key.
    pub(crate) client_token: Option<Secret>,
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This port of 127.0.0.1.
    Port(u16),
    /// A Unix socket, when there is no port.
    Socket(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "127.0.0.1:{port}"),
            Self::Socket(path) => write!(f, "the Unix socket {}", path.display()),
        }
    }
}

#[derive(Deserialize)]
struct Content {
    port: Option<u16>,
    pid: u32,
    socket: Option<PathBuf>,
    client_token: Option<Secret>,
}

/// Why the file does not lead to a proxy.
#[derive(Debug)]
pub(crate) struct ServerInfoError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Unread(SmallFileError),
    Empty,
    Content,
    Nowhere,
}

impl fmt::Display for ServerInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Unread(SmallFileError::Missing) => write!(
                f,
                "no server info at {path}: no proxy runs there (start one with \
                 `codex responses-api-proxy --server-info {path}`)"
            ),
            Cause::Unread(cause) => write!(f, "the server info {path} is not used: {cause}"),
            Cause::Empty => write!(f, "the server info {path} is empty: the proxy is not ready"),
            Cause::Content => write!(
                f,
                "{path} is no server info of codex responses-api-proxy: expected {{\"port\":N,\"pid\":N}}"
            ),
            Cause::Nowhere => write!(
                f,
                "the server info {path} names neither a port nor a socket"
            ),
        }
    }
}

impl std::error::Error for ServerInfoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Unread(cause) => Some(cause),
            _ => None,
        }
    }
}

impl ServerInfo {
    /// Reads the file, if nobody could have written it but us, root or the owner of its directory.
    ///
    /// # Errors
    ///
    /// [`ServerInfoError`] names the path and what is wrong with it, never its content.
    pub(crate) fn read(path: &Path) -> Result<Self, ServerInfoError> {
        let fault = |cause| ServerInfoError {
            path: path.to_owned(),
            cause,
        };
        let found = read_small(path, MOST).map_err(|cause| fault(Cause::Unread(cause)))?;
        let bytes = &found.bytes;
        if bytes.trim_ascii().is_empty() {
            return Err(fault(Cause::Empty));
        }
        let content: Content = serde_json::from_slice(bytes).map_err(|_| fault(Cause::Content))?;
        let place = match (content.port, content.socket) {
            (Some(port), _) => Place::Port(port),
            (None, Some(socket)) => Place::Socket(socket),
            (None, None) => return Err(fault(Cause::Nowhere)),
        };
        Ok(Self {
            writer: Writer::new(path, &found, content.pid, place.clone()),
            place,
            client_token: content.client_token,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(content: &str) -> Result<ServerInfo, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        ServerInfo::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_port_comes_before_a_socket() {
        let info =
            read("{\"port\":1,\"pid\":2,\"socket\":\"/s\",\"client_token\":\"t\"}\n").unwrap();
        assert_eq!(info.place, Place::Port(1));
        assert_eq!(info.client_token.as_ref().map(Secret::expose), Some("t"));
        assert!(!format!("{info:?}").contains("\"t\""));
        let info = read("{\"pid\":2,\"socket\":\"/s\"}").unwrap();
        assert_eq!(info.place, Place::Socket("/s".into()));
    }

    #[test]
    fn what_is_no_server_info_is_named_and_not_repeated() {
        for (content, says) in [
            ("", "is empty"),
            ("sk-secret", "is no server info"),
            (
                "{\"port\":70000,\"pid\":2,\"client_token\":\"sk-secret\"}",
                "is no server info",
            ),
            ("{\"pid\":1}", "neither a port nor a socket"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
        let error = ServerInfo::read(Path::new("/nowhere/x.json")).unwrap_err();
        assert!(error.to_string().contains("no proxy runs there"));
    }
}

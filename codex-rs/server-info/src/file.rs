//! Finds server info in a file that nobody else could have written.

use std::fmt;
use std::path::{Path, PathBuf};

use codex_trusted_path::{SmallFileError, read_small};

use crate::format::{Address, FormatError, MAX_BYTES, ServerInfo};
use crate::process::ProxyProcess;

/// What a file says, and who wrote it.
#[derive(Debug)]
pub struct Found {
    /// All of it.
    pub info: ServerInfo,
    /// Where the proxy is to be called.
    pub address: Address,
    /// Who wrote it, to be looked for before anything is sent.
    pub process: ProxyProcess,
}

/// Why a file does not lead to a proxy.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Unread(SmallFileError),
    Format(FormatError),
}

impl ReadError {
    /// The file is there, and nothing is in it: its proxy is not ready yet, or has ended and could not remove it.
    #[must_use]
    pub fn is_empty_file(&self) -> bool {
        matches!(self.cause, Cause::Format(FormatError::Empty))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Unread(SmallFileError::Missing) => write!(
                f,
                "no server info at {path}: no proxy runs there (start one with \
                 `codex responses-api-proxy --server-info {path}`)"
            ),
            Cause::Unread(cause) => write!(f, "the server info {path} is not used: {cause}"),
            Cause::Format(cause @ FormatError::Malformed) => write!(f, "{path} {cause}"),
            Cause::Format(cause) => write!(f, "the server info {path} {cause}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Unread(cause) => Some(cause),
            Cause::Format(_) => None,
        }
    }
}

/// Reads a file, if nobody could have written it but us, root or the owner of its directory.
///
/// # Errors
///
/// [`ReadError`] names the path and what is wrong with it, never its content.
pub fn read(path: &Path) -> Result<Found, ReadError> {
    let fault = |cause| ReadError {
        path: path.to_owned(),
        cause,
    };
    let file = read_small(path, MAX_BYTES).map_err(|cause| fault(Cause::Unread(cause)))?;
    let found = ServerInfo::parse(&file.bytes).and_then(|info| {
        let address = info.address().ok_or(FormatError::NoAddress)?;
        Ok((info, address))
    });
    let (info, address) = found.map_err(|cause| fault(Cause::Format(cause)))?;
    Ok(Found {
        process: ProxyProcess::new(path, &file, info.pid, address.clone()),
        info,
        address,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_error_names_the_file_and_does_not_repeat_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        for (content, says) in [
            (
                "",
                "the server info PATH is empty: the proxy is not ready, or has ended",
            ),
            ("sk-secret", "PATH is not server info of codex"),
            (
                "{\"port\":70000,\"pid\":2,\"client_token\":\"sk-secret\"}",
                "PATH is not server info of codex",
            ),
            (
                "{\"pid\":1}",
                "the server info PATH names neither a port nor a socket",
            ),
        ] {
            fs::write(path, content).unwrap();
            let error = read(path).unwrap_err().to_string();
            let says = says.replace("PATH", path.to_str().unwrap());
            assert!(error.starts_with(&says), "{error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
        fs::write(path, "{\"port\":1,\"pid\":2}\n").unwrap();
        assert_eq!(read(path).unwrap().address, Address::Port(1));
        let error = read(Path::new("/nowhere/x.json")).unwrap_err();
        assert!(error.to_string().contains("no proxy runs there"));
    }
}

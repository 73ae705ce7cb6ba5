//! Where there are no Unix sockets, none is listened on; the attempt says so.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where to listen, and who may connect.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "read where there are Unix sockets")]
pub(crate) struct UnixSocketConfig {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) group: Option<String>,
}

/// A listener; there is none here.
#[derive(Debug)]
pub(crate) enum UnixListener {}

/// The file of a socket; there is none here.
#[derive(Debug)]
pub(crate) enum UnixSocket {}

/// Listening on a Unix socket is not done here.
#[derive(Debug)]
pub(crate) struct UnixSocketError;

impl fmt::Display for UnixSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("--listen: there are no Unix sockets on this system")
    }
}

impl std::error::Error for UnixSocketError {}

impl UnixSocket {
    pub(crate) fn bind(_: &UnixSocketConfig) -> Result<(UnixListener, Self), UnixSocketError> {
        Err(UnixSocketError)
    }

    pub(crate) fn check(_: &UnixSocketConfig) -> Result<(), UnixSocketError> {
        Err(UnixSocketError)
    }

    pub(crate) fn is_removable(&self) -> bool {
        match *self {}
    }

    pub(crate) fn path(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn give_to_user(&self, _: u32) -> Result<(), UnixSocketError> {
        match *self {}
    }

    pub(crate) fn directory(&self) -> Option<File> {
        match *self {}
    }
}

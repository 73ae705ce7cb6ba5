//! Where the system does not tell whose a listener is, a server info is taken at its word.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use codex_trusted_path::SmallFile;

use crate::format::Address;

/// The process that wrote a server info.
#[derive(Clone, Debug)]
pub struct ProxyProcess(());

/// There is no reason not to send there that could be known.
#[derive(Debug)]
pub enum ProxyGone {}

impl fmt::Display for ProxyGone {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for ProxyGone {}

impl ProxyGone {
    /// Whether the proxy may be there all the same.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match *self {}
    }
}

impl ProxyProcess {
    pub(crate) fn new(_path: &Path, _found: &SmallFile, _pid: u32, _address: Address) -> Self {
        Self(())
    }

    /// Nothing is known against it.
    ///
    /// # Errors
    ///
    /// None.
    pub fn verify(&self) -> Result<(), ProxyGone> {
        let Self(()) = self;
        Ok(())
    }

    /// When the process began, which is not known here.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn started(&self) -> io::Result<SystemTime> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

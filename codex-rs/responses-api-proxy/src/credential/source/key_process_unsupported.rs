//! Where there are no Unix sockets nobody reads keys for this process.

use std::io;

use crate::config::key_source::KeyReader;
use crate::credential::locked::{EmptySlot, LockedCredential};

use super::SourceError;

pub(crate) enum KeyProcess {}

impl KeyProcess {
    /// # Errors
    ///
    /// Always: not supported here.
    pub(crate) fn start(_reader: &KeyReader, _called_as: &[&str]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn read(&mut self, _slot: EmptySlot) -> Result<LockedCredential, SourceError> {
        match *self {}
    }
}

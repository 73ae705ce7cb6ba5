//! Where there are no Unix permissions, no dumps are written: nobody could be kept from reading them.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::dumps::name::DumpName;

/// Dumps are refused here.
#[derive(Debug)]
pub(crate) struct DumpDirectoryError;

impl fmt::Display for DumpDirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "dumps are not written on this system, because others could not be kept from reading them; leave it out",
        )
    }
}

impl std::error::Error for DumpDirectoryError {}

/// There is none.
#[derive(Debug)]
pub(crate) enum DumpDirectory {}

/// Dumps that are there already, and their lengths in bytes.
pub(super) type Found = Vec<(DumpName, u64)>;

impl DumpDirectory {
    /// # Errors
    ///
    /// Always.
    pub(super) fn open(
        _path: &Path,
        _becomes: Option<u32>,
    ) -> Result<(Self, Found), DumpDirectoryError> {
        Err(DumpDirectoryError)
    }

    pub(crate) fn path(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn handle(&self) -> Option<File> {
        match *self {}
    }

    pub(super) fn create_new(&self, _name: &str) -> io::Result<File> {
        match *self {}
    }

    pub(super) fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn remove(&self, _name: &str) -> io::Result<()> {
        match *self {}
    }
}

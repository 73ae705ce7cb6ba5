//! Where keys come from.
//!
//! A key is read straight into its locked memory from whatever it comes by, a byte of it never through another
//! buffer of this process. Where a key is read again later, files and programs are out of reach by then: the sandbox
//! has closed, and root may have become another user. So a process of its own reads them
//! ([`key_process`]), and what it reads goes through a pipe of the kernel, not through its memory.

#![cfg_attr(not(unix), allow(dead_code, reason = "only Unix has such sources"))]

#[cfg(unix)]
mod key_file;
#[cfg_attr(not(unix), path = "key_process_unsupported.rs")]
pub(crate) mod key_process;
#[cfg_attr(not(unix), path = "lines_unsupported.rs")]
pub(crate) mod lines;
#[cfg_attr(not(unix), path = "serve_keys_unsupported.rs")]
pub(crate) mod serve_keys;
pub(crate) mod stdin;

use std::fmt;

use crate::credential::locked::{EmptySlot, LockedCredential};
use crate::credential::read_api_key::ReadKeyError;
use crate::credential::rotation::KeySource;

use self::key_process::KeyProcess;
use self::lines::Lines;

/// A source of keys that can be read more than once.
pub(crate) enum OpenKeySource {
    /// A descriptor that this process was started with; each line is a key.
    Lines(Lines),
    /// A file or a program, read by another process.
    Process(KeyProcess),
}

/// Why there is no key. Never has a byte of what was read in it.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// What was read is not a key.
    Key(ReadKeyError),
    /// Whoever reads for this process says why it could not.
    Said(String),
    /// There is nobody to ask any more.
    Gone,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(ReadKeyError::Missing) => f.write_str("there is no key in it"),
            Self::Key(ReadKeyError::SecondLine) => {
                f.write_str("there is more than one line in it; it has to be the key alone")
            }
            Self::Key(ReadKeyError::Read(cause)) => write!(f, "it could not be read: {cause}"),
            Self::Key(other) => other.fmt(f),
            Self::Said(why) => f.write_str(why),
            Self::Gone => f.write_str("the process that reads it has ended; restart the proxy"),
        }
    }
}

impl std::error::Error for SourceError {}

impl KeySource for OpenKeySource {
    type Error = SourceError;

    fn read(&mut self, slot: EmptySlot) -> Result<Option<LockedCredential>, SourceError> {
        match self {
            Self::Lines(lines) => lines.next(slot),
            Self::Process(process) => process.read(slot).map(Some),
        }
    }
}

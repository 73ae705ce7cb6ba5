//! Where files have no owner that could be asked for, they are read as they are, in bounded memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Why it is not read.
#[derive(Debug)]
pub enum SmallFileError {
    /// There is none.
    Missing,
    /// It is longer than so many bytes.
    TooLarge(u64),
    /// It cannot be read.
    Io(io::Error),
}

impl fmt::Display for SmallFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not there"),
            Self::TooLarge(most) => write!(f, "it is longer than {most} bytes"),
            Self::Io(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for SmallFileError {}

/// What such a file says.
#[derive(Clone, Debug)]
pub struct SmallFile {
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
///
/// [`SmallFileError`].
pub fn read_small(path: &Path, most: u64) -> Result<SmallFile, SmallFileError> {
    let file = File::open(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => SmallFileError::Missing,
        _ => SmallFileError::Io(cause),
    })?;
    let mut bytes = Vec::new();
    let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(SmallFileError::Io)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(SmallFileError::TooLarge(most));
    }
    Ok(SmallFile { bytes })
}

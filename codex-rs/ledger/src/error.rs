//! What is wrong with a ledger's file.

use std::fmt;
use std::io;

/// Why a ledger's file cannot be used, and what to do.
#[derive(Debug)]
pub enum LedgerError {
    /// Another process has it open.
    Locked,
    /// It is not empty, and not a ledger.
    NotALedger,
    /// Another version of this program wrote it.
    Version {
        /// What it says.
        found: u64,
        /// What this program reads.
        expected: u64,
    },
    /// It was a ledger, and has been changed or cut.
    Damaged(String),
    /// It cannot be read or written.
    Io(io::Error),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => {
                f.write_str("another process has the ledger open; stop it, or name another file")
            }
            Self::NotALedger => f.write_str(
                "the file is not a ledger; name an empty file, or one that does not exist",
            ),
            Self::Version { found, expected } => write!(
                f,
                "the ledger has format {found}, and this program reads format {expected}; use the program that wrote \
                 it, or move the file away and begin a new one"
            ),
            Self::Damaged(what) => write!(
                f,
                "the ledger is damaged ({what}); restore a copy, or move the file away and begin a new one, in which \
                 nothing is spent yet"
            ),
            Self::Io(error) => write!(
                f,
                "cannot read or write the ledger: {error}; check its file system"
            ),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// redb's errors have one type for each call; this one has all of them.
impl From<redb::Error> for LedgerError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::Locked,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::NotALedger
            }
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::UpgradeRequired(found) => Self::Damaged(format!("redb format {found}")),
            redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
                Self::NotALedger
            }
            other => Self::Damaged(other.to_string()),
        }
    }
}

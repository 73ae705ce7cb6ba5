//! What is wrong with the text of a policy.

use std::fmt;

use codex_pricing::OverlayError;

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Counts from 1.
    pub line: usize,
    /// Dotted, as it would be written in the file. `None` where the file is not TOML, or says nothing.
    pub key: Option<String>,
    /// What is wrong there, to be read after the key.
    pub what: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for PolicyError {}

impl From<OverlayError> for PolicyError {
    fn from(error: OverlayError) -> Self {
        Self {
            line: error.line,
            key: error.key,
            what: error.what,
        }
    }
}

//! Where there are no Unix users, nobody else can be become; the attempt says so.

use std::fmt;
use std::io;

/// A user of this system; there is none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {}

/// Becoming another user is not done here.
#[derive(Debug)]
pub struct UserError;

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("becoming another user is not supported on this system")
    }
}

impl std::error::Error for UserError {}

/// There are no Unix groups here.
#[derive(Debug)]
pub struct GroupError;

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("groups are not supported on this system")
    }
}

impl std::error::Error for GroupError {}

impl User {
    /// # Errors
    ///
    /// Always: not supported here.
    pub fn by_name(_name: &str) -> Result<Self, UserError> {
        Err(UserError)
    }

    /// Never called: there is no value of this type.
    #[must_use]
    pub fn uid(self) -> u32 {
        match self {}
    }

    /// # Errors
    ///
    /// Never called: there is no value of this type.
    pub fn drop_privileges_to(self) -> io::Result<()> {
        match self {}
    }
}

/// There are no Unix groups here.
///
/// # Errors
///
/// Always: not supported here.
pub fn members_of(_group: &str) -> Result<Vec<u32>, GroupError> {
    Err(GroupError)
}

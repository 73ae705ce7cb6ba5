//! Who can put another file in the place of one.

use std::fmt;
use std::path::Path;

/// Users who are not trusted and can remove, rename and replace what is in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplaceableBy {
    /// The directory can be written by all, and is not sticky.
    EveryUser,
    /// Its owner, for whom it does not matter whether it is sticky (sticky(7)).
    User(u32),
    /// The members of this group, who can write it.
    Group(u32),
}

impl fmt::Display for ReplaceableBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryUser => f.write_str("every user of this host"),
            Self::User(user) => write!(f, "user {user}"),
            Self::Group(group) => write!(f, "group {group}"),
        }
    }
}

impl ReplaceableBy {
    /// The warning for whoever named the file; `and` says what the other user gains.
    #[must_use]
    pub fn warning(self, path: &Path, and: &str) -> String {
        format!(
            "{self} can put another file in the place of {} and {and}; name one in a directory of your own",
            path.display()
        )
    }
}

//! Whose spending is counted together.

use std::fmt;
use std::sync::Arc;

/// Callers whose requests count towards the same limits, under a name that stays the same across restarts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    key: Arc<str>,
}

impl Account {
    /// The account of all callers together.
    pub(crate) fn total() -> Self {
        Self::of("total")
    }

    /// The account of the table `[everyone]`.
    pub(crate) fn everyone() -> Self {
        Self::of("everyone")
    }

    /// The account of the table of a user.
    pub(crate) fn user(uid: u32) -> Self {
        Self::of(&format!("user:{uid}"))
    }

    /// The account of the table of a group.
    pub(crate) fn group(name: &str) -> Self {
        Self::of(&format!("group:{name}"))
    }

    /// The account of the table of a client token.
    pub(crate) fn token(name: &str) -> Self {
        Self::of(&format!("token:{name}"))
    }

    /// The account of one caller under this one: of its token, and of its user only if it has none.
    pub(crate) fn of_caller(&self, uid: Option<u32>, token: Option<&str>) -> Self {
        let table = &self.key;
        match (token, uid) {
            (Some(token), _) => Self::of(&format!("{table}/token:{token}")),
            (None, Some(uid)) => Self::of(&format!("{table}/user:{uid}")),
            (None, None) => Self::of(&format!("{table}/unknown")),
        }
    }

    fn of(key: &str) -> Self {
        Self { key: key.into() }
    }

    /// The name of the account, such as `everyone`, `user:1001`, `group:agents`, `token:ci` or `total`; of one
    /// caller under a table, such as `everyone/user:1001`, `everyone/token:ci` or `everyone/unknown`.
    #[must_use]
    pub fn key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

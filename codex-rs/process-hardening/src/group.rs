//! The users of a group, by the numbers that count.

use std::fmt;
use std::io;

use nix::unistd::Group;

use crate::user::{User, is_of_lookup};

/// Why there is no such group.
#[derive(Debug)]
pub enum GroupError {
    /// No entry of that name.
    Unknown(String),
    /// The group database could not be read.
    Lookup(String, io::Error),
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no group {name}"),
            Self::Lookup(name, _) => write!(f, "could not look up the group {name}"),
        }
    }
}

impl std::error::Error for GroupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unknown(_) => None,
            Self::Lookup(_, cause) => Some(cause),
        }
    }
}

/// The number of a group (`getgrnam_r(3)`).
///
/// # Errors
///
/// [`GroupError`].
pub fn group_number(group: &str) -> Result<u32, GroupError> {
    Ok(entry_of(group)?.gid.as_raw())
}

fn entry_of(group: &str) -> Result<Group, GroupError> {
    match Group::from_name(group) {
        Ok(Some(entry)) => Ok(entry),
        Err(error) if is_of_lookup(error) => {
            Err(GroupError::Lookup(group.to_owned(), error.into()))
        }
        Ok(None) | Err(_) => Err(GroupError::Unknown(group.to_owned())),
    }
}

/// The users whose primary group is `group`, and those it lists as members
/// (`getgrnam_r(3)`, `getpwent(3)`). Members without a user entry are left out.
///
/// Call it while there is one thread: the C library keeps one place in the list of
/// all users, and one entry.
///
/// # Errors
///
/// [`GroupError`].
pub fn members_of(group: &str) -> Result<Vec<u32>, GroupError> {
    let entry = entry_of(group)?;
    let mut members = with_primary_group(entry.gid.as_raw());
    let listed = entry.mem.iter().filter_map(|name| User::by_name(name).ok());
    members.extend(listed.map(User::uid));
    members.sort_unstable();
    members.dedup();
    Ok(members)
}

/// The users whose primary group has this number.
fn with_primary_group(gid: u32) -> Vec<u32> {
    let mut users = Vec::new();
    loop {
        // SAFETY: gives the next user, in memory that the next call overwrites.
        let entry = unsafe { libc::getpwent() };
        // SAFETY: null, or an entry that is valid until then.
        let Some(entry) = (unsafe { entry.as_ref() }) else {
            break;
        };
        if entry.pw_gid == gid {
            users.push(entry.pw_uid);
        }
    }
    // SAFETY: ends the walk; the next one begins anew.
    unsafe { libc::endpwent() };
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_of_its_own_group_and_nobody_of_none() {
        let name = if cfg!(target_os = "linux") {
            "root"
        } else {
            "wheel"
        };
        assert!(members_of(name).unwrap().contains(&0));
        assert_eq!(group_number(name).unwrap(), 0);
        for name in ["no-such-group-here", "", "a\0b"] {
            assert!(matches!(members_of(name), Err(GroupError::Unknown(_))));
        }
    }
}

//! The users of a group, by the numbers that count.

use nix::unistd::Group;

use crate::user::{User, UserError};

/// The number of a group (`getgrnam_r(3)`).
///
/// # Errors
///
/// [`UserError::Unknown`] when there is no such group.
pub fn group_number(group: &str) -> Result<u32, UserError> {
    Ok(entry_of(group)?.gid.as_raw())
}

fn entry_of(group: &str) -> Result<Group, UserError> {
    let found = Group::from_name(group).ok().flatten();
    found.ok_or_else(|| UserError::Unknown(group.to_owned()))
}

/// The users whose primary group is `group`, and those it lists as members
/// (`getgrnam_r(3)`, `getpwent(3)`). Members without a user entry are left out.
///
/// Call it while there is one thread: the C library keeps one place in the list of
/// all users, and one entry.
///
/// # Errors
///
/// [`UserError::Unknown`] when there is no such group.
pub fn members_of(group: &str) -> Result<Vec<u32>, UserError> {
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
            assert!(matches!(members_of(name), Err(UserError::Unknown(_))));
        }
    }
}

//! The users of a group, by the numbers that count.

use std::ffi::CString;

use crate::user::{User, UserError};

/// The number of a group (`getgrnam(3)`).
///
/// Call it while there is one thread: the C library keeps one answer for all.
///
/// # Errors
///
/// [`UserError::Unknown`] when there is no such group.
pub fn group_number(group: &str) -> Result<u32, UserError> {
    Ok(entry_of(group)?.gr_gid)
}

fn entry_of(group: &str) -> Result<libc::group, UserError> {
    let unknown = || UserError::Unknown(group.to_owned());
    let wanted = CString::new(group).map_err(|_| unknown())?;
    // SAFETY: the name is a C string that outlives the call.
    let found = unsafe { libc::getgrnam(wanted.as_ptr()) };
    if found.is_null() {
        return Err(unknown());
    }
    // SAFETY: a non-null answer points to an entry that stays valid until the next
    // look-up of a group, which one thread cannot have made meanwhile.
    Ok(unsafe { *found })
}

/// The users whose primary group is `group`, and those it lists as members
/// (`getgrnam(3)`, `getpwent(3)`). Members without a user entry are left out.
///
/// Call it while there is one thread: the C library keeps one answer for all.
///
/// # Errors
///
/// [`UserError::Unknown`] when there is no such group.
pub fn members_of(group: &str) -> Result<Vec<u32>, UserError> {
    let entry = entry_of(group)?;
    let mut members = Vec::new();
    let mut at = entry.gr_mem;
    loop {
        // SAFETY: the list is one of C strings that ends in a null pointer, and
        // this one has not been passed.
        let name = unsafe { *at };
        if name.is_null() {
            break;
        }
        // SAFETY: see above.
        let name = unsafe { std::ffi::CStr::from_ptr(name) };
        if let Ok(user) = User::by_name(&name.to_string_lossy()) {
            members.push(user.uid());
        }
        // SAFETY: the list goes on after an entry that is not null.
        at = unsafe { at.add(1) };
    }
    // SAFETY: starts the walk over all users anew.
    unsafe { libc::setpwent() };
    loop {
        // SAFETY: gives the next user, in memory that the next call overwrites.
        let user = unsafe { libc::getpwent() };
        if user.is_null() {
            break;
        }
        // SAFETY: a non-null answer points to an entry that is valid until then.
        let user = unsafe { *user };
        if user.pw_gid == entry.gr_gid {
            members.push(user.pw_uid);
        }
    }
    // SAFETY: ends the walk.
    unsafe { libc::endpwent() };
    members.sort_unstable();
    members.dedup();
    Ok(members)
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
        for name in ["no-such-group-here", "", "a\0b"] {
            assert!(matches!(members_of(name), Err(UserError::Unknown(_))));
        }
    }
}

//! Whose files and links are taken at their word.

use rustix::process::geteuid;

/// Root, the user of this process, and whoever became root by sudo(8) to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted(Vec<u32>);

impl Trusted {
    /// Root alone.
    #[must_use]
    pub fn root() -> Self {
        Self(vec![0])
    }

    /// Those of this process as it is now.
    #[must_use]
    pub fn by_this_process() -> Self {
        let variable = std::env::var("SUDO_UID").ok();
        Self::by(geteuid().as_raw(), variable.as_deref())
    }

    /// `SUDO_UID` counts for root alone: sudo(8) sets it, and to root only root's starter does.
    fn by(user: u32, sudo_uid: Option<&str>) -> Self {
        let by_sudo = sudo_uid.and_then(|uid| uid.parse().ok());
        let by_sudo = by_sudo.filter(|_| user == 0);
        Self([0, user].into_iter().chain(by_sudo).collect())
    }

    /// These, and another user.
    #[must_use]
    pub fn and(mut self, user: u32) -> Self {
        self.0.push(user);
        self
    }

    /// Whether this user is one of them.
    #[must_use]
    pub fn includes(&self, user: u32) -> bool {
        self.0.contains(&user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_is_believed_by_root_alone() {
        let root = Trusted::by(0, Some("1000"));
        assert!(root.includes(0) && root.includes(1000) && !root.includes(1001));
        let user = Trusted::by(1001, Some("1000"));
        assert!(user.includes(0) && user.includes(1001) && !user.includes(1000));
        for nonsense in ["", "-1", "alice", "1000 "] {
            assert_eq!(Trusted::by(0, Some(nonsense)), Trusted::by(0, None));
        }
        assert!(user.and(7).includes(7));
    }
}

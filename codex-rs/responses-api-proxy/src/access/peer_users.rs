//! Who may call, as the kernel reports it: the user at the other end of a connection.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use codex_process_hardening::{GroupError, User, UserError, members_of};

use crate::access::sock_diag::SockDiag;
use crate::net::socket::Socket;

/// The users that may call; asked once for each connection, before its first byte
/// is read.
#[derive(Debug)]
pub(crate) struct PeerUsers {
    /// `None`: everybody.
    allowed: Option<BTreeSet<u32>>,
    /// `None`: the kernel does not say whose a TCP connection is.
    diag: Option<Arc<SockDiag>>,
}

/// Why callers cannot be told apart as asked.
#[derive(Debug)]
pub(crate) enum PeerUsersError {
    User(UserError),
    Group(GroupError),
    Kernel(io::Error),
}

impl fmt::Display for PeerUsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(_) => f.write_str("--allow-user"),
            Self::Group(_) => f.write_str("--allow-group"),
            Self::Kernel(_) => f.write_str(
                "--allow-user and --max-connections-per-user: the kernel does not say whose \
                 connection it is (sock_diag(7)); listen on a Unix socket instead, or ask for \
                 client tokens",
            ),
        }
    }
}

impl std::error::Error for PeerUsersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::User(cause) => Some(cause),
            Self::Group(cause) => Some(cause),
            Self::Kernel(cause) => Some(cause),
        }
    }
}

/// The user at the other end of a connection, where the kernel was asked and knew; handlers find it
/// among the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerUser(pub(crate) Option<u32>);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerAccess {
    /// It is served, and counted as this user's; `None` where users are not told apart.
    Allowed(Option<u32>),
    /// Another user, or one that cannot be told any more.
    Denied(Option<u32>),
    /// Everybody may call, users are told apart, and this one cannot be told: it has
    /// left already, or is in another network namespace. Served, it would count as
    /// nobody's, and one user could have as many of them as it likes.
    Unknown,
}

impl PeerUsers {
    /// Resolves names to numbers, now and for good: the user database is out of
    /// reach later. Without any name everybody may call.
    ///
    /// # Errors
    ///
    /// [`PeerUsersError`]: an unknown name.
    pub(crate) fn new(
        users: &[String],
        groups: &[String],
        diag: Option<Arc<SockDiag>>,
    ) -> Result<Self, PeerUsersError> {
        let mut allowed = BTreeSet::new();
        for user in users {
            let uid = match user.parse() {
                Ok(uid) => uid,
                Err(_) => User::by_name(user).map_err(PeerUsersError::User)?.uid(),
            };
            allowed.insert(uid);
        }
        for group in groups {
            let members = members_of(group).map_err(PeerUsersError::Group)?;
            allowed.extend(members);
        }
        let everybody = users.is_empty() && groups.is_empty();
        Ok(Self {
            allowed: (!everybody).then_some(allowed),
            diag,
        })
    }

    /// Whether this user was named; false where everybody may call.
    pub(crate) fn are_named(&self, uid: u32) -> bool {
        self.allowed
            .as_ref()
            .is_some_and(|allowed| allowed.contains(&uid))
    }

    /// Judges one connection, and says whose it is. Everything that is not a clear yes
    /// is a no.
    pub(crate) fn authorize(&self, socket: &Socket) -> PeerAccess {
        match (&self.allowed, self.user_of(socket)) {
            (None, Some(uid)) => PeerAccess::Allowed(Some(uid)),
            (None, None) if self.tells_apart(socket) => PeerAccess::Unknown,
            (None, None) => PeerAccess::Allowed(None),
            (Some(allowed), Some(uid)) if allowed.contains(&uid) => PeerAccess::Allowed(Some(uid)),
            (Some(_), user) => PeerAccess::Denied(user),
        }
    }

    /// Whether it is known that whoever was at the other end is not there any more,
    /// although nothing of that has arrived here. A caller that leaves is noticed by the
    /// end of what it sends; while there is no room for what it sent before, that end
    /// does not come, but its socket is nobody's.
    pub(crate) fn know_it_left(&self, socket: &Socket) -> bool {
        match (&self.diag, socket) {
            (Some(diag), Socket::Tcp(stream)) => matches!(diag.peer_of(stream), Ok(None)),
            _ => false,
        }
    }

    /// Whether the kernel says whose a connection of this kind is.
    fn tells_apart(&self, socket: &Socket) -> bool {
        match socket {
            Socket::Tcp(_) => self.diag.is_some(),
            #[cfg(unix)]
            Socket::Unix(_) => true,
        }
    }

    /// Whose a connection is, as far as the kernel says.
    pub(crate) fn user_of(&self, socket: &Socket) -> Option<u32> {
        match socket {
            Socket::Tcp(stream) => self.diag.as_ref()?.peer_of(stream).ok()?,
            // Of the moment when it connected (SO_PEERCRED, unix(7)): cannot change hands.
            #[cfg(unix)]
            Socket::Unix(stream) => Some(stream.peer_cred().ok()?.uid()),
        }
    }
}

impl fmt::Display for PeerUsers {
    /// The start-up line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.allowed {
            None => f.write_str("every user of this host (limit with --allow-user)"),
            Some(allowed) => {
                f.write_str("users")?;
                for uid in allowed {
                    write!(f, " {uid}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood_and_unknown_ones_refused() {
        let callers = PeerUsers::new(&["root".to_owned(), "4711".to_owned()], &[], None).unwrap();
        assert_eq!(callers.to_string(), "users 0 4711");
        assert!(matches!(
            PeerUsers::new(&["no-such-user-here".to_owned()], &[], None),
            Err(PeerUsersError::User(_))
        ));
        assert!(matches!(
            PeerUsers::new(&[], &["no-such-group-here".to_owned()], None),
            Err(PeerUsersError::Group(_))
        ));
        assert!(
            PeerUsers::new(&[], &["root".to_owned()], None)
                .unwrap()
                .to_string()
                .contains('0')
        );
    }
}

//! Who may call, by the kernel's word: the user at the other end of a connection.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use codex_process_hardening::{User, UserError, members_of};

use crate::socket::Socket;

/// The users that may call; asked once for each connection, before its first byte
/// is read.
#[derive(Debug)]
pub(crate) struct Callers {
    /// `None`: everybody.
    allowed: Option<BTreeSet<u32>>,
    /// There if users are told apart at all.
    #[cfg(target_os = "linux")]
    diag: Option<crate::sock_diag::SockDiag>,
}

/// Why callers cannot be told apart as asked.
#[derive(Debug)]
pub(crate) enum CallersError {
    User(UserError),
    Group(String),
    Kernel(io::Error),
}

impl fmt::Display for CallersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(_) => f.write_str("--allow-user"),
            Self::Group(name) => write!(f, "--allow-group: there is no group {name}"),
            Self::Kernel(_) => {
                f.write_str("--allow-user: the kernel does not say whose connection it is")
            }
        }
    }
}

impl std::error::Error for CallersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::User(cause) => Some(cause),
            Self::Group(_) => None,
            Self::Kernel(cause) => Some(cause),
        }
    }
}

/// The user at the other end of a connection, where the kernel was asked and knew; handlers find it
/// among the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerUser(pub(crate) Option<u32>);

/// What the kernel says of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Welcome,
    /// Another user, or one that cannot be told any more.
    Stranger,
}

impl Callers {
    /// Resolves names to numbers, now and for good: the user database is out of
    /// reach later. Without any name everybody may call. With `count_by_user` users
    /// are told apart all the same.
    ///
    /// # Errors
    ///
    /// [`CallersError`]: an unknown name, or a kernel that does not tell.
    pub(crate) fn new(
        users: &[String],
        groups: &[String],
        count_by_user: bool,
    ) -> Result<Self, CallersError> {
        let everybody = users.is_empty() && groups.is_empty();
        if everybody && !count_by_user {
            return Ok(Self {
                allowed: None,
                #[cfg(target_os = "linux")]
                diag: None,
            });
        }
        let mut allowed = BTreeSet::new();
        for user in users {
            let uid = match user.parse() {
                Ok(uid) => uid,
                Err(_) => User::by_name(user).map_err(CallersError::User)?.uid(),
            };
            allowed.insert(uid);
        }
        for group in groups {
            let members = members_of(group).map_err(|_| CallersError::Group(group.clone()))?;
            allowed.extend(members);
        }
        #[cfg(not(target_os = "linux"))]
        return Err(CallersError::Kernel(io::ErrorKind::Unsupported.into()));
        #[cfg(target_os = "linux")]
        Ok(Self {
            allowed: (!everybody).then_some(allowed),
            diag: Some(crate::sock_diag::SockDiag::open().map_err(CallersError::Kernel)?),
        })
    }

    /// Judges one connection, and says whose it is if that is asked for. Everything
    /// that is not a clear yes is a no.
    pub(crate) fn judge(&self, socket: &Socket) -> (Verdict, Option<u32>) {
        let user = self.uid(socket);
        let is_welcome = match (&self.allowed, user) {
            (None, _) => true,
            (Some(allowed), Some(uid)) => allowed.contains(&uid),
            (Some(_), None) => false,
        };
        let verdict = if is_welcome {
            Verdict::Welcome
        } else {
            Verdict::Stranger
        };
        (verdict, user)
    }

    #[cfg(target_os = "linux")]
    fn uid(&self, socket: &Socket) -> Option<u32> {
        let diag = self.diag.as_ref()?;
        match socket {
            Socket::Tcp(stream) => diag.peer_of(stream).ok()?,
            Socket::Unix(stream) => Some(stream.peer_cred().ok()?.uid()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn uid(&self, _socket: &Socket) -> Option<u32> {
        None
    }
}

impl fmt::Display for Callers {
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
        let callers = Callers::new(&["root".to_owned(), "4711".to_owned()], &[], false).unwrap();
        assert_eq!(callers.to_string(), "users 0 4711");
        assert!(matches!(
            Callers::new(&["no-such-user-here".to_owned()], &[], false),
            Err(CallersError::User(_))
        ));
        assert!(matches!(
            Callers::new(&[], &["no-such-group-here".to_owned()], false),
            Err(CallersError::Group(_))
        ));
        assert!(
            Callers::new(&[], &["root".to_owned()], false)
                .unwrap()
                .to_string()
                .contains('0')
        );
    }
}

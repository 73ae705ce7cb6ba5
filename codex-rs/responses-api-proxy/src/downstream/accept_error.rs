//! Pure: what it means that accept(2) failed.

use std::io;

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// The connection that was to be accepted is gone, or the system lets it not in; the next one may
    /// be fine. accept(2): "errors already pending on the new socket"; they pass to it as from a network
    /// that failed, and are to be treated like "try again". A firewall's refusal is EPERM.
    OfOneConnection,
    /// No descriptors, or no memory for sockets: it helps if a connection ends.
    Shortage,
    /// Something else: no connection that ends would help.
    Other,
}

impl From<&io::Error> for AcceptError {
    fn from(error: &io::Error) -> Self {
        if is_shortage(error) {
            Self::Shortage
        } else if is_of_one_connection(error) {
            Self::OfOneConnection
        } else {
            Self::Other
        }
    }
}

#[cfg(unix)]
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Windows tells of both by one error each, which the standard library has no names for.
#[cfg(not(unix))]
fn is_shortage(error: &io::Error) -> bool {
    const WSAEMFILE: i32 = 10024;
    const WSAENOBUFS: i32 = 10055;
    matches!(error.raw_os_error(), Some(WSAEMFILE | WSAENOBUFS))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    let is_by_kind = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TimedOut
    );
    #[cfg(unix)]
    let is_by_number = matches!(
        error.raw_os_error(),
        Some(libc::EPROTO | libc::ENOPROTOOPT | libc::EHOSTDOWN | libc::EOPNOTSUPP)
    );
    #[cfg(not(unix))]
    let is_by_number = false;
    is_by_kind || is_by_number
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_for_a_shortage_has_anybody_to_leave() {
        let of = |errno| AcceptError::from(&io::Error::from_raw_os_error(errno));
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert_eq!(of(errno), AcceptError::Shortage, "{errno}");
        }
        // Those of accept(2) that belong to the connection, and a firewall's.
        for errno in [
            libc::ECONNABORTED,
            libc::ECONNRESET,
            libc::EINTR,
            libc::ENETDOWN,
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
            libc::ETIMEDOUT,
            libc::EPERM,
            libc::EACCES,
        ] {
            assert_eq!(of(errno), AcceptError::OfOneConnection, "{errno}");
        }
        for errno in [
            libc::EINVAL,
            libc::EBADF,
            libc::EFAULT,
            libc::EIO,
            libc::ENOSYS,
        ] {
            assert_eq!(of(errno), AcceptError::Other, "{errno}");
        }
    }
}

//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// A process, and its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number here; `None` where it has none, outside of our pid namespace (pid_namespaces(7)).
    pub process: Option<u32>,
    /// The number of its user here, or the one that stands for all who have none (user_namespaces(7)).
    pub user: u32,
}

/// Who has connected, or listened when this side connected (`SO_PEERCRED`, unix(7)).
///
/// Not by rustix: to it the number of a process is never 0, which is what the kernel says for one that has none here.
///
/// # Errors
///
/// Those of `getsockopt(2)`: `ENOTSOCK` if it is not a socket.
pub fn peer_of(socket: impl AsFd) -> io::Result<Peer> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let length = libc::socklen_t::try_from(size_of_val(&peer));
    let mut length = length.map_err(io::Error::other)?;
    // SAFETY: the call writes at most `length` bytes, which is the one struct that it is given; any bytes are a value of
    // it.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    Errno::result(outcome)?;
    Ok(Peer {
        process: u32::try_from(peer.pid).ok().filter(|number| *number != 0),
        user: peer.uid,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn of_a_pair_it_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let own = Peer {
            process: Some(std::process::id()),
            user: rustix::process::geteuid().as_raw(),
        };
        assert_eq!(peer_of(&one).unwrap(), own);
    }

    #[test]
    fn a_file_that_is_not_a_socket_has_none() {
        let error = peer_of(File::open("/dev/null").unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
    }
}

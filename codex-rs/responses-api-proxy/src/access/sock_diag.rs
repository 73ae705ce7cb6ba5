//! Whose socket is at the other end of a local TCP connection: asked of the kernel
//! (`sock_diag(7)`), about one socket, on a netlink socket that is kept.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// `struct inet_diag_msg`, behind the netlink header.
const ANSWER: usize = HEADER + 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
/// Where in the answer these stand.
const STATE: usize = HEADER + 1;
const UID: usize = HEADER + 64;
const INODE: usize = HEADER + 68;

/// A line to the kernel's socket table.
#[derive(Debug)]
pub(crate) struct SockDiag(Mutex<Line>);

#[derive(Debug)]
struct Line {
    socket: Socket,
    sequence: u32,
}

impl SockDiag {
    /// Opens the line and tries it once.
    ///
    /// # Errors
    ///
    /// When the kernel has no such interface, or a container filters it.
    pub(crate) fn open() -> io::Result<Self> {
        let protocol = Protocol::from(libc::NETLINK_SOCK_DIAG);
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::DGRAM, Some(protocol))?;
        // The kernel answers before the question returns; this is for one that does not.
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let line = Self(Mutex::new(Line {
            socket,
            sequence: 0,
        }));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        line.owner(nobody, nobody)?;
        Ok(line)
    }

    /// The user whose socket is at the other end of `stream`, a connection within this
    /// network namespace.
    ///
    /// The question is about two addresses, and addresses change hands: while it is
    /// asked, the other end may be closed, and somebody else may connect from its
    /// address to ours. So the answer counts only if our end is still connected
    /// afterwards. Why that is enough:
    ///
    /// - Of all sockets of a network namespace, one at most is bound to our address and
    ///   connected to the other one, and as long as `stream` is connected it is that one.
    ///   A SYN from the other address is then answered by `stream`, which refuses it
    ///   (RFC 9293, section 3.10.7.4: in any synchronized state, CLOSE-WAIT included, a
    ///   SYN gets a challenge ACK): whoever connects anew from there does not get
    ///   beyond SYN-SENT.
    /// - Only an end that is ESTABLISHED is somebody's ([`owner_in`]). So if our end lives,
    ///   what was found is the socket that it was connected with from the beginning.
    /// - Our end does not come back to life. What lives after the answer lived when the
    ///   question was asked.
    /// - It lives if `getpeername(2)` has a name: after a reset its state is CLOSE, for
    ///   which there is none (ENOTCONN). After the other side's FIN it is CLOSE-WAIT, for
    ///   which there is one; that side is then in FIN-WAIT-2 and nobody's. The states from
    ///   which an end dies without a reset (LAST-ACK, CLOSING, TIME-WAIT) come after a
    ///   shutdown of our own side, and nobody asks then.
    ///
    /// # Errors
    ///
    /// As [`owner`](Self::owner), and when `stream` is not connected.
    pub(crate) fn peer_of(&self, stream: &tokio::net::TcpStream) -> io::Result<Option<u32>> {
        ask_of_peer(stream, |there, here| self.owner(there, here))
    }

    /// The user whose socket is bound to `local` and connected to `remote`.
    ///
    /// `None` unless that socket is connected and somebody's: one that its owner has
    /// closed lives on for a while as user 0, inode 0.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer the question.
    fn owner(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
        self.ask(local, remote, ESTABLISHED)
    }

    /// The user whose socket takes the connections to `address`, a listener on that address or on all
    /// addresses; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer the question.
    pub(crate) fn listener(&self, address: SocketAddr) -> io::Result<Option<u32>> {
        let nobody = match address.ip() {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        self.ask(address, SocketAddr::new(nobody, 0), LISTEN)
    }

    /// The user whose socket it is, if it is in `state` and somebody's.
    fn ask(&self, local: SocketAddr, remote: SocketAddr, state: u8) -> io::Result<Option<u32>> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        line.sequence = line.sequence.wrapping_add(1);
        let sequence = line.sequence;
        line.socket.send(&question(sequence, local, remote)?)?;
        loop {
            let mut answer = [0; 256];
            let length = line.socket.read(&mut answer)?;
            let answer = answer.get(..length).ok_or(io::ErrorKind::InvalidData)?;
            if word(answer, 8) == Some(sequence) {
                return owner_in(answer, state);
            }
            // An answer that an earlier question no longer waited for.
        }
    }
}

/// Asks for the owner of the other end, and looks at our end afterwards.
fn ask_of_peer(
    stream: &tokio::net::TcpStream,
    ask: impl FnOnce(SocketAddr, SocketAddr) -> io::Result<Option<u32>>,
) -> io::Result<Option<u32>> {
    let (there, here) = (stream.peer_addr()?, stream.local_addr()?);
    let owner = ask(there, here)?;
    let is_still_connected = stream.peer_addr().is_ok_and(|peer| peer == there);
    Ok(owner.filter(|_| is_still_connected))
}

/// `struct nlmsghdr`, `struct inet_diag_req_v2` (`sock_diag(7)`).
///
/// # Errors
///
/// When it is not as long as it says: the kernel would answer another question.
fn question(sequence: u32, local: SocketAddr, remote: SocketAddr) -> io::Result<[u8; REQUEST]> {
    let mut message = Vec::with_capacity(REQUEST);
    message.extend((REQUEST as u32).to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    let family = if local.ip().to_canonical().is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    message.extend([family as u8, libc::IPPROTO_TCP as u8, 0, 0]);
    // In whatever state; which it is is in the answer.
    message.extend(u32::MAX.to_ne_bytes());
    message.extend(local.port().to_be_bytes());
    message.extend(remote.port().to_be_bytes());
    message.extend(address(local.ip()));
    message.extend(address(remote.ip()));
    message.extend(0_u32.to_ne_bytes());
    // No cookie: the addresses say which one.
    message.extend([0xff; 8]);
    message
        .try_into()
        .map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// An IPv4 address is in the table as one, also that of an IPv6 socket.
fn address(ip: IpAddr) -> [u8; 16] {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn owner_in(answer: &[u8], state: u8) -> io::Result<Option<u32>> {
    let kind = answer
        .get(4..6)
        .map(|kind| kind == SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    if kind != Some(true) {
        // NLMSG_ERROR: a negative errno behind the header.
        let errno = word(answer, HEADER).ok_or(io::ErrorKind::InvalidData)?;
        return match errno.cast_signed().wrapping_neg() {
            libc::ENOENT => Ok(None),
            errno => Err(io::Error::from_raw_os_error(errno)),
        };
    }
    if answer.len() < ANSWER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let is_in_state = answer.get(STATE) == Some(&state);
    let is_somebodys = word(answer, INODE).is_some_and(|inode| inode != 0);
    Ok(word(answer, UID).filter(|_| is_in_state && is_somebodys))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn own_uid() -> u32 {
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
    }

    #[test]
    fn the_owner_of_a_connected_socket_is_known() {
        let diag = SockDiag::open().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, at) = listener.accept().unwrap();
        let here = accepted.local_addr().unwrap();
        assert_eq!(diag.owner(at, here).unwrap(), Some(own_uid()));
        drop(client);
        assert_eq!(diag.owner(at, here).unwrap(), None);
    }

    /// A connection to `to` from that address, which may have been in use just before.
    fn connect_from(from: SocketAddr, to: SocketAddr) -> Socket {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        socket
    }

    /// Somebody resets his connection while the question is on its way, and another one
    /// connects from the same address: the answer is about the latter.
    #[tokio::test]
    async fn a_connection_that_changes_hands_meanwhile_is_nobodys() {
        let diag = SockDiag::open().unwrap();
        for ip in ["127.0.0.1", "::1"] {
            let Ok(listener) = TcpListener::bind((ip, 0)) else {
                continue;
            };
            let to = listener.local_addr().unwrap();
            let first = connect_from(SocketAddr::new(to.ip(), 0), to);
            let from = first.local_addr().unwrap().as_socket().unwrap();
            let (ours, _) = listener.accept().unwrap();
            ours.set_nonblocking(true).unwrap();
            let ours = tokio::net::TcpStream::from_std(ours).unwrap();
            assert_eq!(diag.peer_of(&ours).unwrap(), Some(own_uid()));
            let mut second = None;
            let found = ask_of_peer(&ours, |there, here| {
                first.set_linger(Some(Duration::ZERO)).unwrap();
                drop(first);
                second = Some(connect_from(from, to));
                let owner = diag.owner(there, here);
                assert_eq!(owner.as_ref().ok(), Some(&Some(own_uid())));
                owner
            });
            assert_eq!(found.unwrap(), None);
        }
    }

    #[test]
    fn the_owner_of_a_listener_is_known_on_whichever_address_it_listens() {
        let diag = SockDiag::open().unwrap();
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listens_no_more = || {
                let listener = TcpListener::bind(address).unwrap();
                let mut at = listener.local_addr().unwrap();
                if at.ip().is_unspecified() {
                    at.set_ip([127, 0, 0, 1].into());
                }
                assert_eq!(diag.listener(at).unwrap(), Some(own_uid()), "{address}");
                drop(listener);
                diag.listener(at).unwrap().is_none()
            };
            // Another test may take the port in that moment.
            assert!((0..8).any(|_| listens_no_more()), "{address}");
        }
    }

    #[test]
    fn a_socket_that_is_not_there_is_nobodys() {
        let diag = SockDiag::open().unwrap();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(diag.owner(nobody, nobody).unwrap(), None);
    }

    #[test]
    fn an_orphan_is_nobodys_although_it_reads_as_root() {
        let mut answer = [0; ANSWER];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        answer[STATE] = ESTABLISHED;
        assert_eq!(owner_in(&answer, ESTABLISHED).unwrap(), None);
        answer[INODE] = 1;
        assert_eq!(owner_in(&answer, ESTABLISHED).unwrap(), Some(0));
        // TIME_WAIT and the like.
        answer[STATE] = 6;
        assert_eq!(owner_in(&answer, ESTABLISHED).unwrap(), None);
        assert!(owner_in(&answer[..40], ESTABLISHED).is_err());
    }
}

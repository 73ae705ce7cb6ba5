//! Sockets that this process is started with (sd_listen_fds(3)): somebody else has bound them and keeps them, so that a
//! connection that comes while no process runs waits for the next.
//!
//! What is announced is judged here, by numbers and text alone; a descriptor is judged by what the kernel says of it. A
//! socket of the wrong kind is an error and not passed over: callers would wait at it for ever.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use codex_process_hardening::take_inherited;
use rustix::net::sockopt::socket_type;
use rustix::net::{AddressFamily, SocketType, getsockname};

use crate::net::listeners::BoundListener;

/// The first descriptor (`SD_LISTEN_FDS_START`).
pub(crate) const FIRST: i32 = 3;

/// More are not passed by anybody; a number that is larger is a mistake.
const MOST: usize = 256;

/// What the socket of the control interface is called.
const CONTROL: &str = "control";
/// What the socket at which metrics are read is called.
const METRICS: &str = "metrics";

/// What the variables say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    Nothing,
    /// Sockets for another process, from whose environment these variables are left.
    ForAnother(u32),
    /// The names of the sockets, whose descriptors follow each other from [`FIRST`] on.
    Names(Vec<String>),
}

/// Why the sockets cannot be had.
#[derive(Debug)]
pub(crate) enum ActivationError {
    /// `LISTEN_FDS` is not a number that can be.
    Count,
    /// `LISTEN_PID` is not a number of a process.
    Pid,
    /// `LISTEN_FDNAMES` has so many names, and not one for each of so many descriptors.
    Names(usize, usize),
    /// One of them is wrong: its name, its descriptor, and what is.
    Socket(String, i32, Fault),
    /// A reserved name that several have.
    Twice(&'static str),
}

/// What is wrong with a descriptor.
#[derive(Debug)]
pub(crate) enum Fault {
    NotOpen(io::Error),
    /// Not a socket, or one that no connection comes in at.
    NotListening,
    /// Neither TCP nor a Unix socket.
    Family,
    /// What another host can reach.
    NotLoopback(SocketAddr),
    /// Of the abstract namespace, or without a name.
    NoPath,
    /// The control interface is a Unix socket.
    ControlIsTcp,
}

impl fmt::Display for ActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => write!(f, "LISTEN_FDS is not a number from 1 to {MOST}; unset it"),
            Self::Pid => f.write_str("LISTEN_PID is not the number of a process; unset it"),
            Self::Names(names, descriptors) => write!(
                f,
                "LISTEN_FDNAMES has {names} names for the {descriptors} sockets of LISTEN_FDS; give one to each"
            ),
            Self::Socket(name, number, fault) => write!(
                f,
                "the socket {name} (descriptor {number} of LISTEN_FDS) {fault}"
            ),
            Self::Twice(name) => write!(
                f,
                "LISTEN_FDNAMES has more than one socket {name}; pass one (FileDescriptorName={name} in one \
                 socket unit with one ListenStream=)"
            ),
        }
    }
}

impl std::error::Error for ActivationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(_, _, Fault::NotOpen(cause)) => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    /// The end of a sentence that begins with the socket.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen(_) => f.write_str("is not open"),
            Self::NotListening => f.write_str(
                "is not a stream socket that listens; in a socket unit that takes ListenStream= and Accept=no",
            ),
            Self::Family => f.write_str("is neither TCP nor a Unix socket"),
            Self::NotLoopback(address) => write!(
                f,
                "is bound to {address}, where other hosts could spend the key; bind it to 127.0.0.1 or [::1] \
                 (ListenStream=127.0.0.1:{})",
                address.port()
            ),
            Self::NoPath => f.write_str(
                "is an abstract Unix socket, which every user can connect to and no server-info file can name; \
                 give it a path (ListenStream=/PATH)",
            ),
            Self::ControlIsTcp => f.write_str(
                "is TCP, and its permissions are to say who controls the proxy; make it a Unix socket \
                 (ListenStream=/PATH)",
            ),
        }
    }
}

impl Announced {
    /// Of `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`, to the process `own`. Without `LISTEN_PID` they are for
    /// nobody, as in sd_listen_fds(3).
    ///
    /// # Errors
    ///
    /// [`ActivationError`].
    pub(crate) fn read(
        count: Option<&str>,
        pid: Option<&str>,
        names: Option<&str>,
        own: u32,
    ) -> Result<Self, ActivationError> {
        let number = |count: &str| {
            let count = count
                .parse()
                .ok()
                .filter(|count| (1..=MOST).contains(count));
            count.ok_or(ActivationError::Count)
        };
        let count = count.map(number).transpose()?;
        let pid = pid.map(|pid| pid.parse().map_err(|_| ActivationError::Pid));
        let (Some(count), Some(pid)) = (count, pid.transpose()?) else {
            return Ok(Self::Nothing);
        };
        if pid != own {
            return Ok(Self::ForAnother(pid));
        }
        let names: Vec<String> = match names {
            Some(names) => names.split(':').map(str::to_owned).collect(),
            // What sd_listen_fds_with_names(3) calls them then.
            None => vec!["unknown".to_owned(); count],
        };
        if names.len() != count {
            return Err(ActivationError::Names(names.len(), count));
        }
        Ok(Self::Names(names))
    }
}

/// The sockets, by what they are for.
#[derive(Debug, Default)]
pub(crate) struct ActivatedSockets {
    /// Where callers come in: every one without a name that has a meaning.
    pub(crate) callers: Vec<ActivatedSocket>,
    pub(crate) metrics: Option<ActivatedSocket>,
    /// A Unix socket.
    pub(crate) control: Option<ActivatedSocket>,
}

/// A socket that listens, and where.
#[derive(Debug)]
pub(crate) enum ActivatedSocket {
    /// On this host.
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl ActivatedSockets {
    /// Takes those that were announced over, one for each name.
    ///
    /// # Errors
    ///
    /// [`ActivationError`] names the socket and what is wrong with it.
    pub(crate) fn take(names: &[String]) -> Result<Self, ActivationError> {
        let mut sockets = Self::default();
        for (number, name) in (FIRST..).zip(names) {
            let fault = |fault| ActivationError::Socket(name.clone(), number, fault);
            let taken = take_inherited(number).map_err(Fault::NotOpen);
            let socket = taken.and_then(ActivatedSocket::of).map_err(fault)?;
            let place = match name.as_str() {
                CONTROL if matches!(socket, ActivatedSocket::Tcp(..)) => {
                    return Err(fault(Fault::ControlIsTcp));
                }
                CONTROL => (CONTROL, &mut sockets.control),
                METRICS => (METRICS, &mut sockets.metrics),
                _ => {
                    sockets.callers.push(socket);
                    continue;
                }
            };
            if place.1.replace(socket).is_some() {
                return Err(ActivationError::Twice(place.0));
            }
        }
        Ok(sockets)
    }

    /// Where callers come in by TCP.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.callers.iter().filter_map(ActivatedSocket::address)
    }

    /// Ports of 127.0.0.1 that somebody else may have on `[::1]`, where there is such an address: clients that say
    /// `localhost` go there first.
    pub(crate) fn uncovered_ports(&self) -> Vec<u16> {
        let has = |ip: IpAddr, port| self.addresses().any(|at| at == SocketAddr::new(ip, port));
        let ports = self.addresses().filter(|at| at.ip() == Ipv4Addr::LOCALHOST);
        let ports = ports.map(|at| at.port());
        let uncovered: Vec<u16> = ports
            .filter(|&port| !has(Ipv6Addr::LOCALHOST.into(), port))
            .collect();
        let has_v6 = || TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        if uncovered.is_empty() || !has_v6() {
            return Vec::new();
        }
        uncovered
    }
}

impl ActivatedSocket {
    /// # Errors
    ///
    /// [`Fault`].
    fn of(descriptor: OwnedFd) -> Result<Self, Fault> {
        let is_stream = matches!(socket_type(&descriptor), Ok(SocketType::STREAM));
        if !is_stream || !is_listening(&descriptor) {
            return Err(Fault::NotListening);
        }
        let domain = getsockname(&descriptor).map_err(|_| Fault::Family)?;
        let domain = domain.address_family();
        // Who holds it besides us has made it for being polled, too.
        let _ = rustix::io::ioctl_fionbio(&descriptor, true);
        if domain == AddressFamily::UNIX {
            let listener = UnixListener::from(descriptor);
            let address = listener.local_addr().ok();
            let path = address.and_then(|address| address.as_pathname().map(PathBuf::from));
            let path = path
                .filter(|path| path.is_absolute())
                .ok_or(Fault::NoPath)?;
            return Ok(Self::Unix(listener, path));
        }
        if domain != AddressFamily::INET && domain != AddressFamily::INET6 {
            return Err(Fault::Family);
        }
        let listener = TcpListener::from(descriptor);
        let address = listener.local_addr().map_err(|_| Fault::Family)?;
        if !address.ip().is_loopback() {
            return Err(Fault::NotLoopback(address));
        }
        Ok(Self::Tcp(listener, address))
    }

    /// Its address, if it is TCP.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(..) => None,
        }
    }

    /// Its path, if it is a Unix socket.
    pub(crate) fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::Tcp(..) => None,
            Self::Unix(_, path) => Some(path),
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket) == Ok(true)
}

/// There the option is declared and not implemented: a socket that does not listen fails when it is first accepted from.
#[cfg(target_vendor = "apple")]
fn is_listening(_socket: &OwnedFd) -> bool {
    true
}

impl From<ActivatedSocket> for BoundListener {
    fn from(socket: ActivatedSocket) -> Self {
        match socket {
            ActivatedSocket::Tcp(listener, _) => Self::Tcp(listener),
            ActivatedSocket::Unix(listener, _) => Self::Unix(listener),
        }
    }
}

#[cfg(test)]
mod tests;

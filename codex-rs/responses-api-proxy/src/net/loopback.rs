//! The TCP port, on both loopback addresses.
//!
//! Clients are told to go to 127.0.0.1. Some say `localhost`, which is `[::1]` first on
//! most systems: were that port left to whoever comes, they would send their prompts to
//! him. So it is taken along where it can be had.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::net::listeners::BoundListener;
use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted; the system may allow fewer.
pub(crate) const BACKLOG: i32 = 4096;

/// How often a free port is looked for that is free on both addresses.
const TRIES: usize = 16;

/// Listened on, and not blocking.
#[derive(Debug)]
pub(crate) struct LoopbackPort {
    v4: TcpListener,
    v6: Option<TcpListener>,
}

impl LoopbackPort {
    pub(crate) fn into_bound(self) -> impl Iterator<Item = BoundListener> {
        let both = std::iter::once(self.v4).chain(self.v6);
        both.map(BoundListener::Tcp)
    }
}

/// Ours, but nobody can connect yet.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    v4: Socket,
    v6: Option<Socket>,
    address: SocketAddr,
    /// Why somebody else may have the port on the other address.
    warning: Option<String>,
}

impl ReservedPort {
    /// Takes `port` of both addresses; 0 for one that is free.
    ///
    /// # Errors
    ///
    /// When 127.0.0.1 cannot be had. That `[::1]` cannot is none: there is a warning if
    /// somebody else may have the port there.
    pub(crate) fn new(port: u16) -> anyhow::Result<Self> {
        let tries = if port == 0 { TRIES } else { 1 };
        // Kept until one is found, so that the system chooses another one each time.
        let mut found = Vec::new();
        for _ in 0..tries {
            let (v4, address) = reserve_v4(port)?;
            let v6 = reserve(Domain::IPV6, (Ipv6Addr::LOCALHOST, address.port()).into());
            found.push((v4, address));
            match v6 {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                other => return Self::of(found.pop(), other),
            }
        }
        Self::of(found.pop(), Err(io::ErrorKind::AddrInUse.into()))
    }

    fn of(v4: Option<(Socket, SocketAddr)>, v6: io::Result<Socket>) -> anyhow::Result<Self> {
        let (v4, address) = v4.context("no port was tried")?;
        let (v6, warning) = match v6 {
            Ok(v6) => (Some(v6), None),
            Err(error) if has_no_v6(&error) => (None, None),
            Err(error) => (None, Some(somebody_else(address, &error))),
        };
        Ok(Self {
            v4,
            v6,
            address,
            warning,
        })
    }

    /// The address on 127.0.0.1.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// From now on callers can connect.
    ///
    /// # Errors
    ///
    /// When one of the addresses cannot be listened on after all.
    pub(crate) fn listen(self) -> anyhow::Result<LoopbackPort> {
        let Self {
            v4, v6, address, ..
        } = self;
        let failed = || format!("failed to listen on {address}");
        Ok(LoopbackPort {
            v4: listen(v4).with_context(failed)?,
            v6: v6
                .map(listen)
                .transpose()
                .with_context(|| format!("failed to listen on [::1]:{}", address.port()))?,
        })
    }
}

/// One address of this host: ours, but nobody can connect yet.
#[derive(Debug)]
pub(crate) struct ReservedAddress {
    socket: Socket,
    address: SocketAddr,
}

impl ReservedAddress {
    /// Takes `address`; with port 0 one that is free.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    pub(crate) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let failed = || format!("failed to bind {address}");
        let socket = reserve(Domain::for_address(address), address).with_context(failed)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.context("the port that was bound has no address")?;
        Ok(Self { socket, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on callers can connect.
    ///
    /// # Errors
    ///
    /// When it cannot be listened on after all.
    pub(crate) fn listen(self) -> anyhow::Result<TcpListener> {
        let address = self.address;
        listen(self.socket).with_context(|| format!("failed to listen on {address}"))
    }
}

fn somebody_else(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    format!(
        "[::1]:{port} cannot be listened on ({error}); whoever listens there gets what clients send to \
         localhost: have them say 127.0.0.1"
    )
}

/// Whether there is no such address on this host (ipv6(7)).
fn has_no_v6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(
            error.raw_os_error(),
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)
        )
}

fn reserve_v4(port: u16) -> anyhow::Result<(Socket, SocketAddr)> {
    let socket = reserve(Domain::IPV4, (Ipv4Addr::LOCALHOST, port).into())
        .with_context(|| format!("failed to bind 127.0.0.1:{port}"))?;
    let address = socket.local_addr()?.as_socket();
    let address = address.context("the port that was bound has no address")?;
    Ok((socket, address))
}

fn reserve(domain: Domain, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    // As the standard library does: old connections do not keep the port (socket(7)).
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // Nor may anybody else bind it beside us, as the same option allows until we listen.
    #[cfg(unix)]
    socket.set_reuse_address(false)?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    // Connections inherit it, and leave the port to our successor by that.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_have_the_same_port_and_a_taken_one_is_a_warning() {
        let port = ReservedPort::new(0).unwrap();
        let at = port.address().port();
        // Nobody can connect yet, and nobody else can have it.
        assert!(std::net::TcpStream::connect(port.address()).is_err());
        assert!(TcpListener::bind(port.address()).is_err());
        assert_eq!(port.warning(), None);
        let port = port.listen().unwrap();
        assert!(std::net::TcpStream::connect(port.v4.local_addr().unwrap()).is_ok());
        let Some(v6) = port.v6 else { return };
        assert_eq!(
            v6.local_addr().unwrap(),
            SocketAddr::from((Ipv6Addr::LOCALHOST, at))
        );
        assert!(ReservedPort::new(at).is_err());
        drop(port.v4);
        let beside = ReservedPort::new(at).unwrap();
        assert!(beside.v6.is_none());
        let warning = beside.warning().unwrap();
        assert!(warning.contains(&format!("[::1]:{at} ")), "{warning}");
    }
}

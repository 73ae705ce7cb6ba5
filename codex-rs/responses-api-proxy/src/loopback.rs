//! The TCP port, on both loopback addresses.
//!
//! Clients are told to go to 127.0.0.1. Some say `localhost`, which is `[::1]` first on
//! most systems: were that port left to whoever comes, they would send their prompts to
//! him. So it is taken along where it can be had.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::Context;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How many connections may wait to be accepted; the system may allow fewer.
pub(crate) const BACKLOG: i32 = 4096;

/// How often a free port is looked for that is free on both addresses.
const TRIES: usize = 16;

/// Bound, and not blocking.
#[derive(Debug)]
pub(crate) struct LoopbackPort {
    pub(crate) v4: TcpListener,
    pub(crate) v6: Option<TcpListener>,
    /// Why somebody else may have the port on the other address.
    pub(crate) warning: Option<String>,
}

/// Listens on `port` of both addresses; 0 for one that is free.
///
/// # Errors
///
/// When 127.0.0.1 cannot be listened on. That `[::1]` cannot is none: there is a warning if
/// somebody else may have the port there.
pub(crate) fn listen_on(port: u16) -> anyhow::Result<LoopbackPort> {
    let tries = if port == 0 { TRIES } else { 1 };
    // Kept until one is found, so that the system chooses another one each time.
    let mut found = Vec::new();
    for _ in 0..tries {
        let v4 = bind_v4(port)?;
        let address = v4.local_addr()?;
        let v6 = bind_v6(address.port());
        found.push(v4);
        match v6 {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return bound(found.pop(), other),
        }
    }
    bound(found.pop(), Err(io::ErrorKind::AddrInUse.into()))
}

fn bound(v4: Option<TcpListener>, v6: io::Result<TcpListener>) -> anyhow::Result<LoopbackPort> {
    let v4 = v4.context("no port was tried")?;
    let (v6, warning) = match v6 {
        Ok(v6) => (Some(v6), None),
        Err(error) if has_no_v6(&error) => (None, None),
        Err(error) => {
            let port = v4.local_addr()?.port();
            let warning = format!(
                "[::1]:{port} cannot be listened on ({error}); whoever listens there gets what \
                 clients send to localhost: have them say 127.0.0.1"
            );
            (None, Some(warning))
        }
    };
    Ok(LoopbackPort { v4, v6, warning })
}

/// Whether there is no such address on this host (ipv6(7)).
fn has_no_v6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(
            error.raw_os_error(),
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)
        )
}

fn bind_v4(port: u16) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("failed to bind 127.0.0.1:{port}"))?;
    // The standard library asks for 128, and whoever comes to a full queue is told
    // nothing and tries again a second later (listen(2)).
    SockRef::from(&listener)
        .listen(BACKLOG)
        .context("the listener cannot have a longer queue")?;
    listener
        .set_nonblocking(true)
        .context("the listener cannot be polled")?;
    Ok(listener)
}

fn bind_v6(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    // IPv4 has a socket of its own.
    socket.set_only_v6(true)?;
    // As the standard library does: old connections do not keep the port (socket(7)).
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_have_the_same_port_and_a_taken_one_is_a_warning() {
        let port = listen_on(0).unwrap();
        let at = port.v4.local_addr().unwrap().port();
        let Some(v6) = port.v6 else {
            assert_eq!(port.warning, None);
            return;
        };
        assert_eq!(
            v6.local_addr().unwrap(),
            SocketAddr::from((Ipv6Addr::LOCALHOST, at))
        );
        assert!(listen_on(at).is_err());
        drop(port.v4);
        let beside = listen_on(at).unwrap();
        assert!(beside.v6.is_none());
        let warning = beside.warning.unwrap();
        assert!(warning.contains(&format!("[::1]:{at} ")), "{warning}");
    }
}

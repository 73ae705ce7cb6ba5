//! Where connections come in: a TCP port of this host, on one or both of its loopback
//! addresses, a Unix socket, or both.

use std::io;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::net::loopback::LoopbackPort;
use crate::net::socket::Socket;
use crate::net::unix_socket;

/// What is listened on; at least one is there.
#[derive(Debug)]
pub(crate) struct Listeners {
    v4: Option<TcpListener>,
    v6: Option<TcpListener>,
    #[cfg(unix)]
    unix: Option<UnixListener>,
}

impl Listeners {
    /// Takes bound, nonblocking listeners over. Needs a runtime around it.
    ///
    /// # Errors
    ///
    /// When one of them cannot be polled.
    pub(crate) fn new(
        tcp: Option<LoopbackPort>,
        unix: Option<unix_socket::UnixListener>,
    ) -> io::Result<Self> {
        #[cfg(not(unix))]
        if let Some(never) = unix {
            match never {}
        }
        let (v4, v6) = tcp.map(|port| (port.v4, port.v6)).unzip();
        Ok(Self {
            v4: v4.map(TcpListener::from_std).transpose()?,
            v6: v6.flatten().map(TcpListener::from_std).transpose()?,
            #[cfg(unix)]
            unix: unix.map(UnixListener::from_std).transpose()?,
        })
    }

    /// One address of this host. Needs a runtime around it.
    ///
    /// # Errors
    ///
    /// When it cannot be polled.
    pub(crate) fn on_address(listener: std::net::TcpListener) -> io::Result<Self> {
        let is_v4 = listener.local_addr()?.is_ipv4();
        let listener = TcpListener::from_std(listener)?;
        let (v4, v6) = if is_v4 {
            (Some(listener), None)
        } else {
            (None, Some(listener))
        };
        Ok(Self {
            v4,
            v6,
            #[cfg(unix)]
            unix: None,
        })
    }

    /// The next connection, from whichever has one.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        tokio::select! {
            accepted = accept_tcp(self.v4.as_ref()) => accepted,
            accepted = accept_tcp(self.v6.as_ref()) => accepted,
            accepted = self.accept_unix() => accepted,
        }
    }

    #[cfg(unix)]
    async fn accept_unix(&self) -> io::Result<Socket> {
        match &self.unix {
            Some(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
            None => std::future::pending().await,
        }
    }

    #[cfg(not(unix))]
    async fn accept_unix(&self) -> io::Result<Socket> {
        std::future::pending().await
    }
}

async fn accept_tcp(listener: Option<&TcpListener>) -> io::Result<Socket> {
    match listener {
        Some(listener) => Ok(Socket::Tcp(listener.accept().await?.0)),
        None => std::future::pending().await,
    }
}

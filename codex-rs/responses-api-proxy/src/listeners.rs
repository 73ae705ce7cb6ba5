//! Where connections come in: a TCP port of this host, a Unix socket, or both.

use std::io;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::socket::Socket;

/// What is listened on; at least one is there.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) tcp: Option<TcpListener>,
    #[cfg(unix)]
    pub(crate) unix: Option<UnixListener>,
}

impl Listeners {
    /// The next connection, from whichever has one.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        tokio::select! {
            accepted = accept_tcp(self.tcp.as_ref()) => accepted,
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

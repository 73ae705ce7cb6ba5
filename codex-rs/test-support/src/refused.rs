//! A port that refuses connections and stays ours.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A loopback port that is bound and never listens: connecting to it is refused, and no parallel
/// test can be given the same port meanwhile.
#[derive(Debug)]
pub struct RefusedPort {
    socket: TcpSocket,
}

impl RefusedPort {
    /// Reserves a port.
    ///
    /// # Panics
    /// When the system has none left.
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a loopback port");
        Self { socket }
    }

    /// The address.
    ///
    /// # Panics
    /// When the system does not know it.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.socket
            .local_addr()
            .expect("the address of a bound socket")
    }

    /// `http://127.0.0.1:PORT/v1/responses`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1/responses", self.addr())
    }
}

impl Default for RefusedPort {
    fn default() -> Self {
        Self::new()
    }
}

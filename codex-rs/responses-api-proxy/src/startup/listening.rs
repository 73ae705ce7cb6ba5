//! Where callers come in, once they can, and how it is called.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::net::activation::ActivatedSocket;
use crate::net::listeners::BoundListener;
use crate::net::loopback::ReservedPort;
use crate::net::unix_socket::{UnixListener, UnixSocket};
use crate::startup::inherited::is_named_by_its_port;

/// Where callers come in. What they send before anybody serves waits in the kernel.
pub(crate) struct Listening {
    /// Of the port on 127.0.0.1, which is all that server-info says of TCP.
    pub(crate) address: Option<SocketAddr>,
    /// Of the first Unix socket.
    pub(crate) socket: Option<PathBuf>,
    /// Each place, as a line names it; the above come first.
    pub(crate) places: Vec<String>,
    pub(crate) bound: Vec<BoundListener>,
    /// Somebody else keeps the sockets: who comes while nobody serves waits for the next process.
    pub(crate) is_kept: bool,
}

impl Listening {
    /// From now on callers can connect. There are sockets that somebody else keeps, or our own.
    ///
    /// # Errors
    ///
    /// When a port cannot be listened on after all.
    pub(crate) fn begin(
        port: Option<ReservedPort>,
        unix: Option<UnixListener>,
        unix_socket: Option<&UnixSocket>,
        activated: Vec<ActivatedSocket>,
    ) -> anyhow::Result<Self> {
        let own = port.as_ref().map(ReservedPort::address);
        let path = unix_socket.map(|socket| socket.path().to_owned());
        let mut addresses: Vec<SocketAddr> = own.into_iter().collect();
        let mut paths: Vec<PathBuf> = path.into_iter().collect();
        addresses.extend(activated.iter().filter_map(ActivatedSocket::address));
        paths.extend(
            activated
                .iter()
                .filter_map(ActivatedSocket::path)
                .map(Path::to_owned),
        );
        // Scripts wait for a line that names 127.0.0.1.
        addresses.sort_by_key(|&address| !is_named_by_its_port(address));
        let is_kept = !activated.is_empty();
        let tcp = port.map(ReservedPort::listen).transpose()?;
        let tcp = tcp.into_iter().flat_map(|port| port.into_bound());
        let unix = unix.map(BoundListener::Unix);
        let activated = activated.into_iter().map(BoundListener::from);
        let names = addresses.iter().map(ToString::to_string);
        let of_paths = paths.iter().map(|path| format!("unix:{}", path.display()));
        Ok(Self {
            address: addresses
                .first()
                .copied()
                .filter(|&at| is_named_by_its_port(at)),
            places: names.chain(of_paths).collect(),
            socket: paths.into_iter().next(),
            bound: tcp.chain(unix).chain(activated).collect(),
            is_kept,
        })
    }
}

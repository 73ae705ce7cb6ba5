//! Whose listener the key may go to in cleartext.
//!
//! Any user of this host can listen on a port that the upstream has left, or has never had. Before the
//! first byte of a request the kernel is asked whose listener it is: before the connection is made and
//! after it, so that a stranger would have to take the port and lose it to its owner again between the
//! two. The accepted socket is not asked about: a server such as nginx accepts as another user than
//! the one that listens.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::sync::Arc;

#[cfg(target_os = "linux")]
use crate::sock_diag::SockDiag;
use crate::upstream_fault::UpstreamFault;

/// The users whose listeners may have the key, and a way to know them.
#[derive(Clone, Debug)]
pub(crate) struct ListenerOwner {
    users: BTreeSet<u32>,
    #[cfg(target_os = "linux")]
    diag: Arc<SockDiag>,
}

impl ListenerOwner {
    /// root, `own` and `others` may have the key.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(own: u32, others: &[u32], diag: Arc<SockDiag>) -> Self {
        let users = others.iter().copied().chain([0, own]).collect();
        Self { users, diag }
    }

    /// Here the kernel is not asked.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn unchecked() -> Self {
        Self {
            users: BTreeSet::new(),
        }
    }

    /// # Errors
    ///
    /// [`UpstreamFault::Listener`] unless the listener at `address` is known to be that of a user who
    /// may have the key; [`UpstreamFault::Connect`] if there is no listener.
    #[cfg(target_os = "linux")]
    pub(crate) fn check(&self, address: SocketAddr) -> Result<(), UpstreamFault> {
        match self.diag.listener(address) {
            Ok(Some(user)) => self.allow(user, address),
            Ok(None) => {
                let refused = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
                Err(UpstreamFault::Connect(refused.to_string()))
            }
            Err(error) => Err(UpstreamFault::Connect(format!(
                "the kernel does not tell whose listener it is: {error}"
            ))),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn check(&self, _address: SocketAddr) -> Result<(), UpstreamFault> {
        Ok(())
    }

    /// The same of a Unix socket: the peer is whoever called listen(2) (unix(7), `SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    #[cfg(target_os = "linux")]
    pub(crate) fn check_socket(
        &self,
        stream: &tokio::net::UnixStream,
    ) -> Result<(), UpstreamFault> {
        let peer = stream
            .peer_cred()
            .map_err(|error| UpstreamFault::Connect(error.to_string()))?;
        self.allow(peer.uid(), "the Unix socket")
    }

    #[cfg(all(unix, not(target_os = "linux")))]
    pub(crate) fn check_socket(&self, _: &tokio::net::UnixStream) -> Result<(), UpstreamFault> {
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn allow(&self, user: u32, at: impl fmt::Display) -> Result<(), UpstreamFault> {
        if self.users.contains(&user) {
            Ok(())
        } else {
            Err(UpstreamFault::Listener {
                at: at.to_string(),
                user,
            })
        }
    }
}

impl fmt::Display for ListenerOwner {
    /// For the start-up lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.users.is_empty() {
            return f.write_str("whoever listens there (not checked on this system)");
        }
        f.write_str("to a listener of user")?;
        for (at, user) in self.users.iter().enumerate() {
            write!(f, "{}{user}", if at == 0 { " " } else { " or " })?;
        }
        Ok(())
    }
}

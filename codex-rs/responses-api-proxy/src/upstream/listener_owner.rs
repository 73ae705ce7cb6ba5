//! Whose listener the key may go to in cleartext.
//!
//! Any user of this host can listen on a port that the upstream has left, or has never had. Before the
//! first byte of a request the kernel is asked whose listener it is: before the connection is made and
//! after it, so that a stranger would have to take the port and lose it to its owner again between the
//! two. The accepted socket is not asked about: a server such as nginx accepts as another user than
//! the one that listens.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::sock_diag::SockDiag;
use crate::upstream::error::UpstreamError;

/// The users whose listeners may have the key, and a way to know them.
#[derive(Clone, Debug)]
pub(crate) struct ListenerOwner {
    users: BTreeSet<u32>,
    /// `None` where the kernel does not tell, which only systems other than Linux may leave it at.
    diag: Option<Arc<SockDiag>>,
}

impl ListenerOwner {
    /// root, `own` and `others` may have the key.
    pub(crate) fn new(own: u32, others: &[u32], diag: Option<Arc<SockDiag>>) -> Self {
        let users = others.iter().copied().chain([0, own]).collect();
        Self { users, diag }
    }

    /// # Errors
    ///
    /// [`UpstreamError::Listener`] unless the listener at `address` is known to be that of a user who
    /// may have the key; [`UpstreamError::Connect`] if there is no listener.
    pub(crate) fn check(&self, address: SocketAddr) -> Result<(), UpstreamError> {
        match &self.diag {
            Some(diag) => match diag.listener(address) {
                Ok(Some(user)) => self.allow(user, address),
                Ok(None) => {
                    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
                    Err(UpstreamError::Connect(refused.to_string()))
                }
                Err(error) => Err(untold(&error)),
            },
            None if cfg!(target_os = "linux") => Err(untold(&io::ErrorKind::Unsupported.into())),
            None => Ok(()),
        }
    }

    /// The same of a Unix socket: the peer is whoever called listen(2) (unix(7), `SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    #[cfg(unix)]
    pub(crate) fn check_socket(
        &self,
        stream: &tokio::net::UnixStream,
    ) -> Result<(), UpstreamError> {
        let peer = stream.peer_cred().map_err(|error| untold(&error))?;
        self.allow(peer.uid(), "the Unix socket")
    }

    fn allow(&self, user: u32, at: impl fmt::Display) -> Result<(), UpstreamError> {
        if self.users.contains(&user) {
            Ok(())
        } else {
            Err(UpstreamError::Listener {
                at: at.to_string(),
                user,
            })
        }
    }
}

fn untold(error: &io::Error) -> UpstreamError {
    UpstreamError::Connect(format!(
        "the kernel does not tell whose listener it is: {error}"
    ))
}

impl fmt::Display for ListenerOwner {
    /// For the start-up lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.diag.is_none() && !cfg!(target_os = "linux") {
            return f.write_str("to whoever listens there (not checked on this system)");
        }
        f.write_str("to a listener of user")?;
        for (at, user) in self.users.iter().enumerate() {
            write!(f, "{}{user}", if at == 0 { " " } else { " or " })?;
        }
        Ok(())
    }
}

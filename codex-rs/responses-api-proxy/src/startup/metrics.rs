//! Where metrics are read: taken before the key is read, listened on before privileges are given up, answered in the
//! sandbox.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use codex_process_hardening::Mitigation;

use crate::access::peer_users::PeerUsers;
use crate::config::args::Sandbox;
use crate::config::metrics_place::MetricsPlace;
use crate::downstream::listener_thread::ListenerThread;
use crate::downstream::metrics_listener;
use crate::net::activation::ActivatedSocket;
use crate::net::listeners::BoundListener;
use crate::net::loopback::ReservedAddress;
use crate::net::unix_socket::{UnixSocket, UnixSocketConfig};
use crate::observe::metrics::exposition::{Moment, Registered};
use crate::observe::upstream_connections::UpstreamConnections;

/// Permissions of a Unix socket: to connect takes write permission (unix(7)).
const SOCKET_MODE: u32 = 0o600;

const FLAG: &str = "--metrics";

/// Ours, but nobody can connect yet.
pub(crate) enum ReservedForMetrics {
    Tcp(ReservedAddress),
    Unix(UnixSocketConfig),
    /// Somebody else's, who passes it to us.
    Activated(ActivatedSocket),
}

/// What is asked before anybody answers waits in the kernel.
pub(crate) struct MetricsBound {
    pub(crate) place: MetricsPlace,
    listener: BoundListener,
    /// The file, removed with this.
    pub(crate) unix_socket: Option<UnixSocket>,
}

/// Metrics as they are answered, until this is dropped.
pub(crate) struct MetricsServed {
    _listener: ListenerThread,
    _unix_socket: Option<UnixSocket>,
}

impl ReservedForMetrics {
    /// # Errors
    ///
    /// When the place cannot be had; of a Unix socket as far as that is known.
    pub(crate) fn new(place: &MetricsPlace) -> anyhow::Result<Self> {
        match place {
            MetricsPlace::Tcp(address) => ReservedAddress::new(*address)
                .map(Self::Tcp)
                .context("--metrics cannot listen; name another port, or 0 for one that is free"),
            MetricsPlace::Unix(path) => {
                let config = UnixSocketConfig {
                    path: path.clone(),
                    mode: SOCKET_MODE,
                    group: None,
                };
                UnixSocket::check(&config).context(FLAG)?;
                Ok(Self::Unix(config))
            }
        }
    }

    /// # Errors
    ///
    /// When it cannot be listened on after all.
    pub(crate) fn listen(self) -> anyhow::Result<MetricsBound> {
        match self {
            Self::Tcp(reserved) => {
                let place = MetricsPlace::Tcp(reserved.address());
                let listener = reserved.listen().context(FLAG)?;
                Ok(MetricsBound {
                    place,
                    listener: BoundListener::Tcp(listener),
                    unix_socket: None,
                })
            }
            Self::Unix(config) => {
                let (listener, unix_socket) = UnixSocket::bind(&config).context(FLAG)?;
                Ok(MetricsBound {
                    place: MetricsPlace::Unix(config.path),
                    listener: BoundListener::Unix(listener),
                    unix_socket: Some(unix_socket),
                })
            }
            Self::Activated(socket) => {
                let place = match (socket.address(), socket.path()) {
                    (Some(address), _) => MetricsPlace::Tcp(address),
                    (None, path) => MetricsPlace::Unix(path.unwrap_or(Path::new("")).to_owned()),
                };
                Ok(MetricsBound {
                    place,
                    listener: socket.into(),
                    unix_socket: None,
                })
            }
        }
    }
}

impl MetricsBound {
    /// Answers from now on.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn serve(
        self,
        users: Arc<PeerUsers>,
        registered: Registered,
        mitigations: &[Mitigation],
        sandbox: Sandbox,
        upstream: &UpstreamConnections,
        moment: impl Fn() -> Moment + Send + Sync + 'static,
    ) -> anyhow::Result<MetricsServed> {
        let has_sandbox = sandbox != Sandbox::Off;
        let exposition = registered.complete(mitigations, has_sandbox, upstream, moment);
        let listener = metrics_listener::start(self.listener, users, exposition)
            .context("a thread for metrics cannot start (ulimit -u)")?;
        Ok(MetricsServed {
            _listener: listener,
            _unix_socket: self.unix_socket,
        })
    }
}

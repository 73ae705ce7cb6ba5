//! Where the proxy is asked how it is: taken before the key is read, listened on before privileges are given up,
//! answered in the sandbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use crate::access::peer_users::PeerUsers;
use crate::downstream::accept::Terms;
use crate::downstream::control_listener::{self, Control};
use crate::downstream::listener_thread::ListenerThread;
use crate::forward::router::Shared;
use crate::net::activation::ActivatedSocket;
use crate::net::listeners::BoundListener;
use crate::net::unix_socket::{UnixSocket, UnixSocketConfig};
use crate::startup::confined::Confined;
use crate::startup::control_status::{Sources, fixed};
use crate::startup::start_up_lines::StartUpLines;

const FLAG: &str = "--control";

/// A place for it, where nobody is answered yet.
pub(crate) enum ReservedForControl {
    /// Found free.
    Own {
        config: UnixSocketConfig,
        starters: Starters,
    },
    /// A Unix socket that this process is started with.
    Activated(ActivatedSocket),
}

/// Who started the proxy: asked before it becomes another user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starters {
    users: Vec<u32>,
    /// By sudo(8).
    by_sudo: Option<u32>,
    /// The user that stands for many, whoever of them it is.
    many: Option<u32>,
}

/// What is asked before anybody answers waits in the kernel.
pub(crate) struct ControlBound {
    /// `None`: a socket that was passed on, and is at no path.
    path: Option<PathBuf>,
    listener: BoundListener,
    starters: Starters,
    /// The file, removed with this.
    pub(crate) unix_socket: Option<UnixSocket>,
}

/// All that it takes to answer but a thread.
pub(crate) struct PreparedControl {
    bound: ControlBound,
    users: Arc<PeerUsers>,
    control: Control,
}

/// The control socket as it is answered, until this is dropped.
pub(crate) struct ControlServed {
    _listener: ListenerThread,
    _unix_socket: Option<UnixSocket>,
}

impl Starters {
    pub(crate) fn of_this_process() -> Self {
        #[cfg(unix)]
        {
            use crate::access::user_namespace::stand_in_for_unmapped;
            use crate::config::environment;

            let by_sudo = environment::sudo_uid();
            let by_sudo = by_sudo.filter(|_| rustix::process::geteuid().is_root());
            let own = rustix::process::getuid().as_raw();
            Self {
                users: std::iter::once(own).chain(by_sudo).collect(),
                by_sudo,
                // From a file that is out of reach later.
                many: stand_in_for_unmapped(),
            }
        }
        #[cfg(not(unix))]
        Self::default()
    }

    /// Who may ask: they, root, and the user that the process is by now. Not a user that stands for many.
    fn allowed(&self) -> Vec<u32> {
        #[cfg(unix)]
        let own = Some(rustix::process::geteuid().as_raw());
        #[cfg(not(unix))]
        let own = None;
        let mut allowed: Vec<u32> = self.users.iter().copied().chain(own).collect();
        if let Some(many) = self.many {
            allowed.retain(|&user| user != many);
        }
        allowed.push(0);
        allowed
    }
}

impl ReservedForControl {
    /// # Errors
    ///
    /// When the place cannot be had, as far as that is known.
    pub(crate) fn new(config: &UnixSocketConfig) -> anyhow::Result<Self> {
        UnixSocket::check(config).context(FLAG)?;
        Ok(Self::Own {
            config: config.clone(),
            starters: Starters::of_this_process(),
        })
    }

    /// Makes the socket. It is given to whoever became root by sudo(8) to start the proxy, who could not connect
    /// otherwise; root can anyway.
    ///
    /// # Errors
    ///
    /// When it cannot be listened on after all.
    pub(crate) fn listen(self) -> anyhow::Result<ControlBound> {
        let (config, starters) = match self {
            Self::Own { config, starters } => (config, starters),
            Self::Activated(socket) => return ControlBound::of_activated(socket),
        };
        let (listener, unix_socket) = UnixSocket::bind(&config).context(FLAG)?;
        if let Some(user) = starters.by_sudo {
            unix_socket.give_to_user(user).context(FLAG)?;
        }
        Ok(ControlBound {
            path: Some(config.path),
            listener: BoundListener::Unix(listener),
            starters,
            unix_socket: Some(unix_socket),
        })
    }
}

impl ControlBound {
    /// A socket that somebody else listens on for this process, who also removes its file. It is listened on once more:
    /// whoever connects is then told this process as the other side, and not theirs (`SO_PEERCRED`, unix(7)).
    ///
    /// # Errors
    ///
    /// When it cannot be listened on.
    fn of_activated(socket: ActivatedSocket) -> anyhow::Result<Self> {
        let starters = Starters::of_this_process();
        let path = socket.path().map(Path::to_owned);
        let listener = BoundListener::from(socket);
        #[cfg(unix)]
        if let BoundListener::Unix(listener) = &listener {
            let listening = socket2::SockRef::from(listener).listen(crate::net::loopback::BACKLOG);
            listening.context("the control socket cannot be listened on")?;
        }
        Ok(Self {
            path,
            listener,
            starters,
            unix_socket: None,
        })
    }

    /// Where it is, as far as that is known.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Who may ask, now that the process is the user that it stays.
    pub(crate) fn allowed(&self) -> Vec<u32> {
        self.starters.allowed()
    }
}

impl Confined {
    /// Gets together what is told on the control socket, if there is one. The start-up lines are known by then.
    pub(super) fn prepare_control(
        &mut self,
        shared: &Shared,
        terms: &Terms,
    ) -> Option<PreparedControl> {
        let tally = self.observing.tally.take();
        let (bound, tally) = self.control.take().zip(tally)?;
        if let Some(path) = bound.path() {
            self.banner.control_at(path);
        }
        let metrics = self.banner.metrics_place();
        let sources = Arc::new(Sources {
            fixed: fixed(
                StartUpLines::of(self.banner.lines()),
                self.listening.places.clone(),
                metrics,
                self.route.name(),
                self.route.is_clear(),
            ),
            since: Instant::now(),
            shutdown: terms.shutdown.clone(),
            observer: terms.observer.clone(),
            tally,
            limit: Arc::clone(&terms.limit),
            credential: shared.credential,
            upstream: shared.upstream.connections().clone(),
            spending: self
                .spending
                .as_ref()
                .map(|(spending, ..)| spending.clone()),
        });
        let control = Control {
            allowed: bound.allowed(),
            in_flight: {
                let sources = Arc::clone(&sources);
                Box::new(move || sources.in_flight())
            },
            status: Box::new(move |streams| sources.status(streams)),
            shutdown: terms.shutdown.clone(),
            drain_timeout: terms.drain_timeout,
        };
        Some(PreparedControl {
            bound,
            users: Arc::clone(&self.clients.users),
            control,
        })
    }
}

impl PreparedControl {
    /// Where it is, as far as that is known.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.bound.path()
    }

    /// Answers from now on.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn serve(self) -> anyhow::Result<ControlServed> {
        let ControlBound {
            listener,
            unix_socket,
            ..
        } = self.bound;
        let listener = control_listener::start(listener, self.users, self.control)
            .context("a thread for the control socket cannot start (ulimit -u)")?;
        Ok(ControlServed {
            _listener: listener,
            _unix_socket: unix_socket,
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_passed_on_is_this_process_s_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let socket = ActivatedSocket::Unix(listener, path.clone());
        let bound = ReservedForControl::Activated(socket).listen().unwrap();
        assert_eq!(bound.path(), Some(&*path));
        let own = rustix::process::geteuid().as_raw();
        assert!(bound.allowed().contains(&own) && bound.allowed().contains(&0));
        drop(bound);
        // Whoever passed it on removes it.
        assert!(path.exists());
    }
}

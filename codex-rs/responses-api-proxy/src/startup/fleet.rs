//! The server of `--ledger` that hosts share: its password read while there are files, its leases kept by one thread, in a
//! sandbox that lets it reach that server and nothing else.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use codex_fleet::{
    Dialer, FleetState, Keeper, Lookup, Notice, Password, Place, Store, StoreAddress, Terms,
};
use codex_ledger::{Clock, Down, Ledger};
use codex_outbound::tls_roots;
use codex_process_hardening::Mitigation;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::ClientConfig;
use tokio::sync::{Notify, oneshot, watch};
use tower_service::Service;

use crate::access::trusted_file::TrustedFile;
use crate::config::args::Sandbox;
use crate::config::ledger_place::SharedLedger;
use crate::observe::printable::excerpt;
use crate::observe::stderr;
use crate::startup::sandbox::confine_leases;
use crate::upstream::{Hop, Resolver, tls_without_http};

/// How long the last charges may take to be reported.
const LAST_CHARGES: Duration = Duration::from_secs(5);

/// All that it takes to keep leases but a way to look names up.
pub(crate) struct OpenFleet {
    shared: SharedLedger,
    ledger: Ledger,
    is_strict: bool,
    password: Option<Password>,
    tls: Option<Arc<ClientConfig>>,
    woken: Arc<Notify>,
}

/// The thread that keeps leases, until the end.
#[derive(Debug)]
pub(crate) struct Keeping {
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
    _thread: JoinHandle<()>,
}

/// Leases are kept from here on.
pub(crate) struct Begun {
    pub(crate) keeping: Keeping,
    pub(crate) followed: Followed,
    /// What could not be had of the sandbox of the thread that keeps them.
    pub(crate) missing: Vec<Mitigation>,
    /// For an operator, once the proxy is ready.
    pub(crate) said: Vec<String>,
}

/// Keeps what is said until the proxy is ready: nothing is printed before the ready line.
#[derive(Clone)]
struct Said(Arc<Mutex<Option<Vec<String>>>>);

impl Said {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    fn say(&self, line: String) {
        match &mut *self.lock() {
            Some(lines) => lines.push(line),
            None => stderr::line(line),
        }
    }

    /// What was said so far; from here on it is printed.
    fn take(&self) -> Vec<String> {
        self.lock().take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the server does, and when that may have changed.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) state: FleetState,
    pub(crate) changes: watch::Receiver<()>,
}

impl OpenFleet {
    /// # Errors
    ///
    /// No password in the file that has it, or no certificate authorities for TLS.
    pub(crate) fn open(
        shared: &SharedLedger,
        becomes: Option<u32>,
        is_strict: bool,
    ) -> anyhow::Result<Self> {
        let password = shared.password_file.as_deref();
        let password = password
            .map(|path| read_password(path, becomes))
            .transpose()?;
        let tls = tls_for(&shared.address)?;
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        let ledger = Ledger::shared(Clock::system(), shared.lease, shared.down, move || {
            wake.notify_one();
        });
        Ok(Self {
            shared: shared.clone(),
            ledger,
            is_strict,
            password,
            tls,
            woken,
        })
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether its name has to be looked up.
    pub(crate) fn has_name(&self) -> bool {
        self.hop().is_name
    }

    fn hop(&self) -> Hop {
        match &self.shared.address.place {
            Place::Tcp { host, port, .. } => Hop {
                port: *port,
                is_name: host.parse::<std::net::IpAddr>().is_err(),
                is_socket: false,
            },
            Place::Socket(_) => Hop {
                is_socket: true,
                ..Hop::default()
            },
        }
    }

    /// Takes the first leases, if the server is there, and keeps them from then on.
    ///
    /// # Errors
    ///
    /// No thread or no runtime. A server that is away is none.
    pub(crate) fn begin(self, resolver: &Resolver, mode: Sandbox) -> anyhow::Result<Begun> {
        let hop = self.hop();
        let address = self.shared.address.clone();
        let dialer = Dialer::new(address, self.tls, lookup(resolver));
        let store = Store::new(dialer, self.password, &self.shared.prefix);
        let terms = Terms {
            ttl: self.shared.lease,
            is_strict: self.is_strict,
        };
        let early = Said::new();
        let say = teller(
            self.shared.address.to_string(),
            self.shared.down,
            early.clone(),
        );
        let mut keeper = Keeper::new(self.ledger, store, terms, self.woken, say);
        let followed = Followed {
            state: keeper.state(),
            changes: keeper.changes(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot start")?;
        let (tell, told) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let begin = move || {
            let mitigations = confine_leases(mode, hop);
            runtime.block_on(async move {
                // Why it has failed was said.
                let _ = keeper.begin().await;
                let _ = tell.send((mitigations, early.take()));
                keeper
                    .run(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(begin)
            .context("the thread that keeps leases cannot start (ulimit -u)")?;
        let (mitigations, said) = told.recv().context("the first lease ended in a fault")?;
        let is_missing = |mitigation: &Mitigation| mitigation.outcome.is_err();
        let keeping = Keeping {
            stop,
            ended,
            _thread: thread,
        };
        let missing = mitigations.into_iter().filter(is_missing).collect();
        Ok(Begun {
            keeping,
            followed,
            missing,
            said,
        })
    }
}

impl Keeping {
    /// Reports what was spent last, and gives leases back.
    pub(crate) fn end(self) {
        // A thread that is no more has said why.
        let _ = self.stop.send(());
        if self.ended.recv_timeout(LAST_CHARGES).is_err() {
            stderr::line(
                "--ledger: the last charges were not reported: the server does not answer",
            );
        }
    }
}

/// What TLS takes, where the address asks for it.
///
/// # Errors
///
/// No certificate authorities.
pub(super) fn tls_for(address: &StoreAddress) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    if !matches!(address.place, Place::Tcp { tls: true, .. }) {
        return Ok(None);
    }
    let roots = tls_roots::load("the server of --ledger")?;
    Ok(Some(tls_without_http(Arc::new(roots.store))?))
}

/// # Errors
///
/// A file that is not there, that others can read or write, or that is not a password.
pub(super) fn read_password(path: &Path, becomes: Option<u32>) -> anyhow::Result<Password> {
    let of = || format!("--ledger-password-file {}", path.display());
    let text = TrustedFile::new(path, becomes).read_secret();
    let text = text.with_context(of)?;
    Password::of_file(text).with_context(of)
}

fn lookup(resolver: &Resolver) -> Lookup {
    let resolver = resolver.clone();
    Arc::new(move |host| {
        let mut resolver = resolver.clone();
        Box::pin(async move {
            let name: Name = host.parse().map_err(io::Error::other)?;
            let found = resolver.call(name).await.map_err(io::Error::other)?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Tells an operator of a server that is away, and that it is there again.
fn teller(address: String, down: Down, said: Said) -> impl Fn(Notice<'_>) + Send {
    let then = match down {
        Down::Refuse => {
            "requests are refused once this host's leases are spent or over (--ledger-down=refuse)"
        }
        Down::Local => "this host goes by what it knows of the limits (--ledger-down=local)",
        Down::Allow => {
            "limits are not kept once this host's leases are spent or over (--ledger-down=allow)"
        }
    };
    move |notice| {
        match notice {
        Notice::Away(error) => said.say(format!(
            "--ledger: {address} is away: {}; {then}",
            excerpt(&error.to_string())
        )),
        Notice::Concern(concern) => said.say(format!(
            "--ledger: {address}: {}",
            excerpt(&concern.to_string())
        )),
        Notice::Back(after) => said.say(format!(
            "--ledger: {address} is there again, after {:.1} s",
            after.as_secs_f64()
        )),
        Notice::NotGivenBack(error) => said.say(format!(
            "--ledger: the last charges were not reported, and leases come back when they are over: {}",
            excerpt(&error.to_string())
        )),
    }
    }
}

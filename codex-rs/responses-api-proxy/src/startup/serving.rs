//! The third stage: threads that serve, until the proxy is told to end.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::access::Access;
use crate::access::request_limit::RequestLimit;
use crate::access::sock_diag::SockDiag;
use crate::access::spending::Spending;
use crate::config::args::LogFormat;
use crate::downstream::accept::{Terms, serve};
use crate::downstream::connection_limit::ConnectionLimit;
use crate::downstream::control_listener;
use crate::downstream::metrics_listener;
use crate::downstream::workers::{self, Threads, Workers};
use crate::forward::router::{Shared, router};
use crate::lifecycle::server_info::ServerInfo;
use crate::lifecycle::shutdown::Shutdown;
use crate::net::listeners::Listeners;
use crate::observe::metrics::exposition::Moment;
use crate::observe::stderr;
use crate::startup::confined::Confined;
use crate::startup::control::PreparedControl;
use crate::startup::listening::Listening;
use crate::startup::metrics::MetricsServed;
use crate::startup::preconnecting::ask_before_ready;
use crate::startup::reading_again::read_again;
use crate::upstream::{ListenerOwner, Route, Upstream};

/// Upstream connections that nothing uses, on each thread, at most.
const MAX_IDLE: usize = 256;

/// All that it takes to serve but a runtime on this thread.
pub(crate) struct Serving {
    confined: Confined,
    shared: Arc<Shared>,
    terms: Terms,
    threads: Threads,
    metrics: Option<MetricsServed>,
    control: Option<PreparedControl>,
}

impl Confined {
    /// Starts the other threads, each in the sandbox that the process has.
    ///
    /// # Errors
    ///
    /// No threads, or an upstream that cannot be addressed.
    pub(crate) fn start(mut self) -> anyhow::Result<Serving> {
        if self.route.is_clear() {
            let diag = self.clients.diag.clone();
            let owner = listener_owner(&self.route, &self.upstream_users, diag)?;
            self.route.allow_listener_of(owner);
        }
        let config = &self.config;
        let limits = config.limits;
        let wanted = config.threads.unwrap_or(self.processors);
        let (others, descriptors) = workers::affordable(wanted, self.descriptors_for_callers());
        if config.threads.is_some_and(|wanted| wanted > others + 1) {
            self.banner.warn(format_args!(
                "{} threads serve, not {wanted}: there are too few descriptors (ulimit -n)",
                others + 1
            ));
        }
        let upstream = Upstream::new(
            config.upstream.clone(),
            config.upstream_timeout,
            self.route.connector(self.resolver.clone())?,
            max_idle(descriptors),
        )?;
        self.banner.describe(
            &self.route,
            &self.clients.users,
            &self.clients.tokens,
            config.sandbox,
            &self.mitigations,
        );

        let shutdown = Shutdown::new();
        let shared = Arc::new(Shared {
            credential: self.credential,
            upstream: Arc::new(upstream),
            limits,
            access: Access {
                tokens: self.clients.tokens.clone(),
                request_limit: RequestLimit::new(limits.max_requests),
                required_log: self.observing.required_log.clone(),
                spending: self
                    .spending
                    .as_ref()
                    .map(|(spending, ..)| spending.clone()),
            },
            shutdown: shutdown.clone(),
            dumps: self.observing.dumps.clone(),
        });
        let routers = (0..others)
            .map(|_| {
                let shared = Shared {
                    upstream: Arc::new(shared.upstream.another()),
                    ..Shared::clone(&shared)
                };
                router(Arc::new(shared), config.http_shutdown)
            })
            .collect();
        let threads = Threads::start(others)
            .context("a thread cannot start (ulimit -u, or fewer --threads)")?;
        let own = router(Arc::clone(&shared), config.http_shutdown);
        let terms = Terms {
            workers: Arc::new(Workers::new(own, &threads, routers)),
            shutdown,
            limit: Arc::new(ConnectionLimit::new(
                limits.max_connections,
                limits.max_connections_per_user,
                descriptors,
            )),
            callers: Arc::clone(&self.clients.users),
            observer: self.observing.observer.clone(),
            header_timeout: limits.header_timeout,
            drain_timeout: config.drain_timeout,
            idle_exit: config.lifecycle.idle_exit,
            // Who comes after the end has begun is for the next process, where there will be one.
            listen_while_draining: config.http_shutdown && !self.listening.is_kept,
        };
        let metrics = self.serve_metrics(&shared.upstream, &terms)?;
        let control = self.prepare_control(&shared, &terms);
        Ok(Serving {
            confined: self,
            shared,
            terms,
            threads,
            metrics,
            control,
        })
    }

    fn descriptors_for_callers(&self) -> u64 {
        let of_metrics = self.metrics.as_ref();
        let of_metrics = of_metrics.map_or(0, |_| metrics_listener::DESCRIPTORS);
        let of_control = self.control.as_ref();
        let of_control = of_control.map_or(0, |_| control_listener::DESCRIPTORS);
        self.descriptors.saturating_sub(of_metrics + of_control)
    }

    /// Answers whoever asks for metrics, if anybody is to be answered.
    fn serve_metrics(
        &mut self,
        upstream: &Upstream,
        terms: &Terms,
    ) -> anyhow::Result<Option<MetricsServed>> {
        let registered = self.observing.metrics.take();
        let Some((bound, registered)) = self.metrics.take().zip(registered) else {
            return Ok(None);
        };
        self.banner.metrics_at(&bound.place);
        let made = upstream.connections().clone();
        let spending = self
            .spending
            .as_ref()
            .map(|(spending, ..)| spending.clone());
        let moment = {
            let (limit, observer) = (Arc::clone(&terms.limit), terms.observer.clone());
            let made = made.clone();
            let credential = self.credential;
            move || {
                let (connections, slots, evicted) = limit.counts();
                Moment {
                    connections,
                    slots,
                    evicted,
                    requests: observer.in_flight().requests(),
                    upstream_connections: made.open(),
                    budgets: spending.as_ref().map(Spending::budgets).unwrap_or_default(),
                    store: spending.as_ref().and_then(Spending::standing),
                    credential: credential.standing(),
                }
            }
        };
        let sandbox = self.config.sandbox;
        let users = Arc::clone(&self.clients.users);
        let mitigations = &self.mitigations;
        let served = bound.serve(users, registered, mitigations, sandbox, &made, moment)?;
        Ok(Some(served))
    }
}

impl Serving {
    /// Serves until the proxy is told to end, and all is over.
    ///
    /// # Errors
    ///
    /// No runtime, no handler for signals, or a server-info file that cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            confined,
            shared,
            terms,
            threads,
            metrics,
            control,
        } = self;
        let Confined {
            config,
            clients,
            listening,
            unix_socket,
            mut lifetime,
            key_reload,
            mut server_info,
            observing,
            spending,
            banner,
            ..
        } = confined;
        let Listening {
            address,
            socket,
            places,
            bound,
            is_kept: _,
        } = listening;
        let shutdown = terms.shutdown.clone();
        let (charging, policy) = match spending {
            Some((_, charging, policy)) => (Some(charging), policy),
            None => (None, None),
        };
        let reload = read_again(
            &config,
            &observing,
            clients.tokens.clone(),
            clients.token_file,
            key_reload,
            policy,
        );
        let runtime = workers::runtime().context("the runtime cannot start")?;
        let (cut, control) = runtime.block_on(async {
            let listeners = Listeners::new(bound)?;
            // From here on a signal ends in an orderly way, so from here on there
            // may be something to tidy up.
            shutdown.listen_to_signals()?;
            let notifier = lifetime.notifier.clone();
            let hangups = reload.on_hangup(notifier.clone())?;
            let port = address.map(|address| address.port());
            let token = clients.generated_token.as_deref();
            let control_path = control.as_ref().and_then(PreparedControl::path);
            let line = ServerInfo::line(port, socket.as_deref(), token, control_path)?;
            // Before anybody is told that there is a proxy.
            let asked = ask_before_ready(&config, &shared).await?;
            if let Some(info) = &mut server_info {
                info.announce(&line)?;
            }
            // Whoever is answered there finds the proxy ready.
            let control = control.map(PreparedControl::serve).transpose()?;
            let as_json = config.log_format == Some(LogFormat::Json);
            banner.print(&places, address, as_json);
            if let Some(ready) = lifetime.ready.take() {
                let announced = ready.announce(&line);
                announced.context("--ready-fd: nobody reads that the proxy is ready")?;
            }
            notifier.status(&format!("listening on {}", places.join(", ")));
            notifier.ready();
            lifetime.watch_over(
                &shutdown,
                shared.credential,
                &terms.workers,
                places.join(", "),
                config.drain_timeout,
            );
            asked.go_on(&config, shared);
            tokio::select! {
                cut = serve(listeners, terms) => anyhow::Ok((cut, control)),
                never = hangups => match never {},
            }
        })?;
        observing.observer.end();
        // Connections that were not done, and name look-ups still running, end here.
        runtime.shutdown_background();
        threads.end();
        if let Some(charging) = charging {
            charging.end();
        }
        if let Some(recorder) = observing.recorder {
            recorder.end();
        }
        // Until here: what was counted last can still be read.
        drop(metrics);
        drop(control);
        if let Some(dumps) = observing.dumps {
            dumps.close();
        }
        if cut > 0 {
            stderr::line(format_args!("cut off without having finished: {cut}"));
        }
        drop(server_info);
        #[cfg(unix)]
        drop(unix_socket);
        // Elsewhere there is none.
        #[cfg(not(unix))]
        let _none = unix_socket;
        let signal = shutdown.ended_by_signal();
        Ok(signal.map_or(ExitCode::SUCCESS, |signal| ExitCode::from(128 + signal)))
    }
}

/// How many upstream connections that nothing uses are kept on each thread.
fn max_idle(descriptors: u64) -> usize {
    usize::try_from(descriptors / 16).map_or(MAX_IDLE, |share| share.min(MAX_IDLE))
}

/// Whose listeners may have the key in cleartext: asked for once we are the user that we stay.
///
/// # Errors
///
/// When the kernel should tell whose a listener is, and does not.
fn listener_owner(
    route: &Route,
    others: &[u32],
    diag: Option<Arc<SockDiag>>,
) -> anyhow::Result<ListenerOwner> {
    if cfg!(target_os = "linux") && diag.is_none() && !route.first_hop.is_socket {
        bail!(
            "the kernel does not tell whose listener the upstream is, and the key would go to it in \
             cleartext; use an https upstream, or one on a Unix socket (--upstream-url unix:/PATH)"
        );
    }
    #[cfg(unix)]
    let own = rustix::process::geteuid().as_raw();
    #[cfg(not(unix))]
    let own = 0;
    Ok(ListenerOwner::new(own, others, diag))
}

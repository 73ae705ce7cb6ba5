//! What the proxy tells whoever started it, and when it ends by itself: opened before the sandbox, at work in it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::config::lifecycle_args::LifecycleArgs;
use crate::credential::Credential;
use crate::downstream::workers::Workers;
use crate::lifecycle::expiry::Expiry;
use crate::lifecycle::launcher::{Lifeline, Parent, ReadyFd};
use crate::lifecycle::notify::{Notifier, watchdog_interval};
use crate::lifecycle::shutdown::{Shutdown, Stage};
use crate::lifecycle::watchdog::watch;
use crate::observe::stderr;
use crate::startup::inherited::Inherited;

/// How often the status is looked at that a service manager shows.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Everything that was asked for, open.
pub(crate) struct Lifetime {
    pub(crate) notifier: Notifier,
    /// Told once that the proxy is ready.
    pub(crate) ready: Option<ReadyFd>,
    watchdog: Option<Duration>,
    lifeline: Option<(i32, Lifeline)>,
    parent: Option<Parent>,
    expire_after: Option<Duration>,
    /// Begun when the key was there.
    expiry: Option<Expiry>,
}

impl Lifetime {
    /// # Errors
    ///
    /// What is not there or cannot be reached.
    pub(crate) fn open(args: &LifecycleArgs, inherited: Inherited) -> anyhow::Result<Self> {
        let notifier = Notifier::from_environment()?;
        let watchdog = watchdog_interval()?.filter(|_| notifier.is_heard());
        Ok(Self {
            notifier,
            ready: inherited.ready,
            watchdog,
            lifeline: args.lifeline_fd.zip(inherited.lifeline),
            parent: args.parent_pid.map(parent).transpose()?,
            expire_after: args.expire_after,
            expiry: None,
        })
    }

    /// The key is there.
    ///
    /// # Errors
    ///
    /// When there is no timer to be had.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        let begun = self.expire_after.map(Expiry::begin).transpose();
        self.expiry = begun.context("--expire-after: there is no timer for it")?;
        Ok(())
    }

    /// Has all of it at work from now on. Needs a runtime around it.
    pub(crate) fn watch_over(
        self,
        shutdown: &Shutdown,
        credential: Credential,
        workers: &Arc<Workers>,
        place: String,
        drain_timeout: Duration,
    ) {
        let notifier = self.notifier;
        if let Some(interval) = self.watchdog {
            let (workers, notifier) = (Arc::clone(workers), notifier.clone());
            tokio::spawn(async move {
                let turn = || {
                    let workers = Arc::clone(&workers);
                    async move { workers.all_turn().await }
                };
                watch(interval, turn, || notifier.watchdog()).await;
            });
        }
        if notifier.is_heard() {
            let (workers, shutdown) = (Arc::clone(workers), shutdown.clone());
            tokio::spawn(tell(notifier, workers, shutdown, place, drain_timeout));
        }
        if let Some((number, lifeline)) = self.lifeline {
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let why = match lifeline.closed().await {
                    Ok(()) => format!("the other end of --lifeline-fd {number} is closed; ending"),
                    Err(error) => unwatched(&format!("--lifeline-fd {number}"), &error),
                };
                end(&shutdown, &why);
            });
        }
        if let Some(parent) = self.parent {
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let pid = parent.pid();
                let why = match parent.ended().await {
                    Ok(()) => format!("process {pid} has ended (--parent-pid); ending"),
                    Err(error) => unwatched(&format!("--parent-pid {pid}"), &error),
                };
                end(&shutdown, &why);
            });
        }
        if let Some(expiry) = self.expiry {
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let after = expiry.after();
                let why = match expiry.passed().await {
                    Ok(()) => format!(
                        "the key has served for {after:?} (--expire-after): it is wiped when the last request that was \
                         permitted has gone up; ending"
                    ),
                    Err(error) => unwatched("--expire-after", &error),
                };
                stderr::line(why);
                shutdown.expire();
                credential.expire();
            });
        }
    }
}

/// Fails closed: what was to end the proxy would not be noticed.
fn unwatched(flag: &str, error: &std::io::Error) -> String {
    format!("{flag} cannot be watched ({error}); ending")
}

fn end(shutdown: &Shutdown, why: &str) {
    if !shutdown.is_begun() {
        stderr::line(why);
    }
    shutdown.begin();
}

/// Keeps the service manager's idea of the proxy current, until the end.
async fn tell(
    notifier: Notifier,
    workers: Arc<Workers>,
    shutdown: Shutdown,
    place: String,
    drain_timeout: Duration,
) {
    let in_flight = || workers.activity().map_or(0, |activity| activity.requests);
    loop {
        notifier.status(&format!(
            "listening on {place}; requests in flight: {}",
            in_flight()
        ));
        tokio::select! {
            () = tokio::time::sleep(STATUS_EVERY) => {}
            () = shutdown.reached(Stage::Draining) => break,
        }
    }
    notifier.stopping(drain_timeout);
    loop {
        notifier.status(&format!("ending; requests in flight: {}", in_flight()));
        tokio::time::sleep(STATUS_EVERY).await;
    }
}

#[cfg(unix)]
fn parent(pid: i32) -> anyhow::Result<Parent> {
    Ok(Parent::open(pid)?)
}

#[cfg(not(unix))]
fn parent(_pid: i32) -> anyhow::Result<Parent> {
    anyhow::bail!("--parent-pid: processes are not watched on this system; leave it out")
}

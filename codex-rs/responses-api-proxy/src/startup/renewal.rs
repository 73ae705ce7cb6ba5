//! What replaces a credential by the next, once the process is in its sandbox.

use std::path::Path;
use std::sync::{Arc, mpsc};

use anyhow::{Context, bail};
use codex_process_hardening::Mitigation;

use crate::config::Config;
use crate::credential::generation::Generations;
use crate::credential::locked::SlotPool;
use crate::credential::refresh::Refresher;
use crate::credential::renewal::TokenRenewal;
use crate::credential::rotation::Rotation;
use crate::credential::source::OpenKeySource;
use crate::credential::workload::WorkloadIdentity;
use crate::startup::sandbox::confine_exchange;
use crate::upstream::{Hop, Resolver};
/// What replaces a credential by the next.
pub(crate) enum Renewal {
    /// Nothing does.
    None,
    Keys(Rotation<OpenKeySource>),
    Tokens(Box<Tokens>),
}

/// All that it takes to get tokens but a way to look names up.
pub(crate) struct Tokens {
    pub(super) identity: WorkloadIdentity,
    /// Empty where none is needed.
    pub(super) request_token: &'static [u8],
    pub(super) slots: Arc<SlotPool>,
    pub(super) generations: &'static Generations,
    pub(super) refresher: &'static Refresher,
}

impl Renewal {
    /// Gets the first access token, where requests go up with these, and what follows it from then on; on a thread of its
    /// own, in a sandbox of its own. Gives what could not be had of that.
    ///
    /// # Errors
    ///
    /// The first exchange fails, or cannot be tried.
    pub(crate) fn obtain_first(
        self,
        resolver: &Resolver,
        config: &Config,
    ) -> anyhow::Result<(Self, Vec<Mitigation>)> {
        let tokens = match self {
            Self::Tokens(tokens) => *tokens,
            other => return Ok((other, Vec::new())),
        };
        let renewal = TokenRenewal::new(
            tokens.identity.client(resolver.clone())?,
            tokens.request_token,
            tokens.slots,
            tokens.generations,
            tokens.refresher,
            config.allow_unlocked_key,
        )?;
        let (tell, told) = mpsc::sync_channel(1);
        let mode = config.sandbox;
        let hops: Vec<Hop> = tokens.identity.hops().collect();
        let file = tokens.identity.token_file().map(Path::to_owned);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot start")?;
        let begin = move || {
            let mitigations = confine_exchange(mode, &hops, file.as_deref());
            runtime.block_on(async move {
                let mut renewal = renewal;
                let first = renewal.first().await;
                let goes_on = first.is_ok();
                // Whoever started this waits for it.
                let _ = tell.send(first.map(|()| mitigations));
                if goes_on {
                    renewal.run().await;
                }
            });
        };
        std::thread::Builder::new()
            .name("tokens".to_owned())
            .spawn(begin)
            .context("the thread that exchanges tokens cannot start (ulimit -u)")?;
        let mitigations = told
            .recv()
            .context("the first exchange ended in a fault")??;
        let is_missing = |mitigation: &Mitigation| mitigation.outcome.is_err();
        Ok((
            Self::None,
            mitigations.into_iter().filter(is_missing).collect(),
        ))
    }

    /// Goes on by itself, in the sandbox of this thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start(self) -> anyhow::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Keys(rotation) => rotation
                .start()
                .context("the thread that reads keys cannot start (ulimit -u)"),
            Self::Tokens(_) => bail!("the first access token was not got"),
        }
    }
}

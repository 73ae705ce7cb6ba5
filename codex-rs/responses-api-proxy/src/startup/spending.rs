//! What callers may ask for and spend: read while there are files, kept while the proxy serves, read again on SIGHUP.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use codex_ledger::{Ledger, Measure, Mode, Window, Writer};
use codex_policy::Policy;
use codex_pricing::{Overlay, Prices};

use crate::access::spending::Spending;
use crate::access::trusted_file::TrustedFile;
use crate::config::args::BudgetMode;
use crate::config::ledger_place::LedgerPlace;
use crate::config::{ClientTokens, Config, PolicySource};
use crate::observe::cost::PriceList;
use crate::observe::stderr;
use crate::observe::user_names::UserNames;
use crate::startup::banner::Banner;
use crate::startup::fleet::{Followed, Keeping, OpenFleet};
use crate::startup::host_names::HostNames;
use crate::startup::ledger_file;

/// What was spent in windows up to this is not missed after a restart.
const NOT_MISSED: Duration = Duration::from_secs(3600);

/// How long the last charges may take to be written at the end.
const LAST_CHARGES: Duration = Duration::from_secs(5);

/// A policy, and where it is read again.
pub(crate) struct OpenSpending {
    spending: Spending,
    writer: Option<Writer>,
    /// Where hosts share limits, until leases are kept.
    fleet: Option<OpenFleet>,
    /// `None`: flags, which do not change.
    file: Option<PolicyFile>,
}

struct PolicyFile {
    file: TrustedFile,
    names: HostNames,
    /// The prices of `--prices`, which those of the policy go before.
    prices: Option<Overlay>,
    /// Callers have client tokens.
    has_tokens: bool,
    /// The kernel says which user calls.
    knows_users: bool,
}

/// What is written of what callers spend, until the end.
#[derive(Debug)]
pub(crate) struct Charging {
    writer: Option<Writer>,
    keeping: Option<Keeping>,
}

impl OpenSpending {
    /// `None` without a policy. `prices` are those of `--prices`; `knows_users`: the kernel says which user calls.
    ///
    /// # Errors
    ///
    /// What cannot be read or opened, and what is wrong with the policy, by its file, line and key.
    pub(crate) fn open(
        config: &Config,
        becomes: Option<u32>,
        prices: Option<&Overlay>,
        knows_users: bool,
    ) -> anyhow::Result<Option<Self>> {
        let Some(source) = &config.policy else {
            return Ok(None);
        };
        let users = UserNames::of_this_host();
        let (policy, file) = match source {
            PolicySource::Flags { models, limits } => {
                (Policy::of_everyone(models.clone(), limits.clone()), None)
            }
            PolicySource::File(path) => {
                let file = PolicyFile {
                    file: TrustedFile::new(path, becomes),
                    names: HostNames::new(users.clone()),
                    prices: prices.cloned(),
                    has_tokens: !matches!(config.client_tokens, ClientTokens::None),
                    knows_users,
                };
                (file.read()?, Some(file))
            }
        };
        let mut fleet = None;
        let (ledger, writer) = match &config.ledger {
            None => (Ledger::in_memory(), None),
            Some(LedgerPlace::File(path)) => {
                let of = || format!("--ledger {}", path.display());
                let file = ledger_file::open(path, becomes)?;
                let (ledger, writer) = Ledger::open(file).with_context(of)?;
                (ledger, Some(writer))
            }
            Some(LedgerPlace::Shared(shared)) => {
                let is_strict = config.budget_mode == BudgetMode::Strict;
                let opened = fleet.insert(OpenFleet::open(shared, becomes, is_strict)?);
                (opened.ledger().clone(), None)
            }
        };
        let spending = Spending::new(
            policy,
            ledger,
            PriceList::default(),
            match config.budget_mode {
                BudgetMode::Expected => Mode::Expected,
                BudgetMode::Strict => Mode::Strict,
            },
            config.limits.max_body,
            users,
        );
        prepare(&spending, &spending.policy(), prices).context("--ledger")?;
        Ok(Some(Self {
            spending,
            writer,
            fleet,
            file,
        }))
    }

    /// Whether the name of a server that hosts share has to be looked up.
    pub(crate) fn has_name(&self) -> bool {
        self.fleet.as_ref().is_some_and(OpenFleet::has_name)
    }

    /// The server that hosts share, where they do; once.
    pub(crate) fn take_fleet(&mut self) -> Option<OpenFleet> {
        self.fleet.take()
    }

    /// Requests wait for the leases of that server from here on.
    pub(crate) fn follow(&self, followed: Followed) {
        self.spending.share(followed.state, followed.changes);
    }

    /// What has to stay readable.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|policy| policy.file.path())
    }

    /// The prices of the policy, for whoever says what requests cost.
    pub(crate) fn prices(&self) -> Option<Overlay> {
        self.spending.policy().prices().cloned()
    }

    pub(crate) fn warn(&self, banner: &mut Banner) {
        let policy = self.spending.policy();
        let is_missed = |window| match window {
            Window::Day | Window::Month => true,
            Window::Rolling(length) => length > NOT_MISSED,
            Window::Minute | Window::Hour | Window::Process => false,
        };
        let limits = policy.limits();
        let is_kept = self.writer.is_some() || self.fleet.is_some();
        if !is_kept && limits.iter().any(|(_, limit)| is_missed(limit.window)) {
            banner.warn(
                "what callers have spent is forgotten when the proxy ends, and limits begin anew (--ledger FILE \
                 keeps it)",
            );
        }
    }

    /// Starts what writes charges, as confined as the thread that calls this. `keeping` keeps leases already.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start(
        mut self,
        keeping: Option<Keeping>,
    ) -> anyhow::Result<(Spending, Charging, Option<Reload>)> {
        if let Some(writer) = &mut self.writer {
            writer
                .start()
                .context("the thread that writes the ledger cannot start (ulimit -u)")?;
        }
        let spending = self.spending.clone();
        let reload = self.file.map(|policy| {
            policy.names.confine();
            Reload {
                spending: self.spending,
                policy,
            }
        });
        let charging = Charging {
            writer: self.writer,
            keeping,
        };
        Ok((spending, charging, reload))
    }
}

impl PolicyFile {
    fn read(&self) -> anyhow::Result<Policy> {
        let of = || format!("--policy {}", self.file.path().display());
        let text = self.file.read().with_context(of)?;
        let policy = Policy::parse(&text, &self.names).with_context(of)?;
        self.check_callers(&policy).with_context(of)?;
        Ok(policy)
    }

    /// # Errors
    ///
    /// When it has tables for callers that cannot be told apart.
    fn check_callers(&self, policy: &Policy) -> anyhow::Result<()> {
        if let Some(token) = policy.tokens().next()
            && !self.has_tokens
        {
            bail!(
                "there is a table for the client token {token}, and callers have none; name a file of them with \
                 --client-token-file"
            );
        }
        if policy.names_users() && !self.knows_users {
            bail!(
                "there are tables for users, and the kernel does not say whose a connection is (sock_diag(7)): listen \
                 on a Unix socket instead, or give callers client tokens"
            );
        }
        Ok(())
    }
}

/// Reads the policy again.
pub(crate) struct Reload {
    spending: Spending,
    policy: PolicyFile,
}

impl Reload {
    /// Reads it on SIGHUP, and says what came of it. One that is wrong changes nothing.
    pub(crate) fn read_again(&self) {
        match self.again() {
            Ok(()) => stderr::line("policy read again"),
            Err(error) => stderr::line(format_args!("policy left as it was: {error:#}")),
        }
    }

    fn again(&self) -> anyhow::Result<()> {
        let policy = self.policy.read()?;
        prepare(&self.spending, &policy, self.policy.prices.as_ref()).context("--ledger")?;
        self.spending.replace_policy(policy);
        Ok(())
    }
}

/// What the policy needs: the accounts that it names, and prices if it has a limit in dollars.
fn prepare(spending: &Spending, policy: &Policy, prices: Option<&Overlay>) -> anyhow::Result<()> {
    if policy.has(Measure::Usd) {
        let own = policy.prices().cloned().unwrap_or_default();
        let overlay = own.over(prices.cloned().unwrap_or_default());
        let prices = Prices::bundled().with_overlay(overlay);
        spending.prices().replace(prices);
    }
    let limits = policy.shared_limits();
    let accounts = limits.iter().map(|(account, _)| account.key());
    spending.ledger().preload(accounts)?;
    for (account, limit) in &limits {
        spending.ledger().lease_ahead(account.key(), limit);
    }
    Ok(())
}

impl Charging {
    /// Writes the last charges.
    pub(crate) fn end(self) {
        if let Some(keeping) = self.keeping {
            keeping.end();
        }
        if let Some(writer) = self.writer
            && let Err(error) = writer.close(LAST_CHARGES)
        {
            stderr::line(format_args!(
                "--ledger: the last charges were not written: {error}"
            ));
        }
    }
}

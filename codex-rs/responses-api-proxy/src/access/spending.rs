//! What callers may spend, by the policy that is in force.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use codex_fleet::{FleetState, Standing};
use codex_ledger::{Estimator, Ledger, Limit, Measure, Mode, Subject};
use codex_policy::{Account, Policy, Under};
use http::HeaderMap;
use tokio::sync::watch;

use crate::access::caller::Caller;
use crate::access::head_rules::{asks_for_agents, refuse_other_types};
use crate::access::inspection::Inspection;
use crate::access::lease_wait::LeaseWait;
use crate::access::over_limit::{measure_name, over_limit, per};
use crate::access::request_limit::{RequestLimit, RequestPermit};
use crate::access::reservation::Reservation;
use crate::access::wanted::Terms;
use crate::inspect::request_facts::{RequestEncoding, RequestInspector};
use crate::observe::cost::PriceList;
use crate::observe::metrics::exposition::Budget;
use crate::observe::user_names::UserNames;
use crate::refusal::{Reason, Refusal};

/// How many requests in zstd are read at once: each can take 9 MiB.
const MAX_DECODERS: usize = 32;

/// What callers may spend; clones share it.
#[derive(Clone)]
pub(crate) struct Spending(Arc<Shared>);

struct Shared {
    policy: RwLock<Arc<Policy>>,
    ledger: Ledger,
    /// The server that hosts share, where they do.
    fleet: OnceLock<(FleetState, watch::Receiver<()>)>,
    estimator: Estimator,
    prices: PriceList,
    mode: Mode,
    /// The most that a body may decode to, in bytes.
    max_body: u64,
    names: UserNames,
    /// For decoders of zstd, whose windows take memory.
    decoders: RequestLimit,
}

impl fmt::Debug for Spending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spending").finish_non_exhaustive()
    }
}

impl Spending {
    pub(crate) fn new(
        policy: Policy,
        ledger: Ledger,
        prices: PriceList,
        mode: Mode,
        max_body: u64,
        names: UserNames,
    ) -> Self {
        Self(Arc::new(Shared {
            policy: RwLock::new(Arc::new(policy)),
            ledger,
            fleet: OnceLock::new(),
            estimator: Estimator::default(),
            prices,
            mode,
            max_body,
            names,
            decoders: RequestLimit::new(MAX_DECODERS),
        }))
    }

    /// Hosts share the limits: how the server does, and what changes whenever it has answered.
    pub(crate) fn share(&self, state: FleetState, changes: watch::Receiver<()>) {
        // There is one server, and this is called once.
        let _ = self.0.fleet.set((state, changes));
    }

    /// How the server does that hosts share, where they do.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.0.fleet.get().map(|(state, _)| state.standing())
    }

    /// For a request that may have to wait for a lease; `None` where hosts share nothing.
    pub(crate) fn lease_wait(&self) -> Option<LeaseWait> {
        let (_, changes) = self.0.fleet.get()?;
        Some(LeaseWait::new(changes))
    }

    /// The policy that is in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        let policy = self.0.policy.read();
        Arc::clone(&policy.unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another policy in force for requests that come from now on.
    pub(crate) fn replace_policy(&self, policy: Policy) {
        let mut current = self
            .0
            .policy
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(policy);
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    pub(crate) fn estimator(&self) -> &Estimator {
        &self.0.estimator
    }

    pub(crate) fn prices(&self) -> &PriceList {
        &self.0.prices
    }

    pub(crate) fn mode(&self) -> Mode {
        self.0.mode
    }

    /// Each limit of the policy, and what is spent of it. Of accounts that are made for each caller there is none.
    pub(crate) fn budgets(&self) -> Vec<Budget> {
        let limits = self.policy().shared_limits();
        let of = |(account, limit): (Account, Limit)| {
            let account = account.key();
            let spent = self.0.ledger.spent(&account, &limit);
            let in_unit = |value| in_unit(limit.measure, value);
            Budget {
                account: account.to_string(),
                measure: measure_name(limit.measure),
                per: per(limit.window),
                most: in_unit(limit.most),
                spent: in_unit(spent.spent),
                held: in_unit(spent.held),
                leased: spent.leased.map(in_unit),
            }
        };
        limits.into_iter().map(of).collect()
    }

    /// The same as the control socket tells it, with the accounts of these callers: their users and tokens.
    pub(crate) fn budgets_with<'a>(
        &self,
        callers: impl Iterator<Item = (Option<u32>, Option<&'a str>)>,
    ) -> Vec<codex_control::Budget> {
        let policy = self.policy();
        let mut limits = policy.shared_limits();
        let mut seen: HashSet<Account> =
            limits.iter().map(|(account, _)| account.clone()).collect();
        for (user, token) in callers {
            if let Ok(applied) = policy.rules_for(user, token)
                && seen.insert(applied.account.clone())
            {
                let own = applied.rules.limits().iter();
                limits.extend(own.map(|limit| (applied.account.clone(), *limit)));
            }
        }
        limits
            .iter()
            .map(|(account, limit)| {
                let account = account.key();
                let spent = self.0.ledger.spent(&account, limit);
                let left = limit.most.saturating_sub(spent.spent);
                let left = left.saturating_sub(spent.held);
                let resets = spent.resets_at;
                let resets = resets.and_then(|at| at.duration_since(SystemTime::now()).ok());
                codex_control::Budget {
                    account: account.to_string(),
                    measure: measure_name(limit.measure).to_owned(),
                    per: per(limit.window),
                    limit: in_unit(limit.measure, limit.most),
                    spent: in_unit(limit.measure, spent.spent),
                    reserved: in_unit(limit.measure, spent.held),
                    remaining: in_unit(limit.measure, left),
                    resets_in_seconds: resets.map(|left| left.as_secs_f64()),
                }
            })
            .collect()
    }

    /// What is known of a request of `caller` by its head: whose accounts it is charged to, that something is left in
    /// them, and that it is one of no more at once than may be.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub(crate) fn enter(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<(Arc<Reservation>, Inspection), Refusal> {
        let policy = self.policy();
        let applied = policy.rules_for(caller.user, caller.token.as_deref())?;
        refuse_other_types(headers)?;
        let encoding = RequestEncoding::from_headers(headers)?;
        let decoder = self.decoder(encoding, caller)?;
        let who = self.name_of(caller);
        let own = Subject {
            account: applied.account.key(),
            limits: Arc::clone(applied.rules.limits()),
            concurrent: applied.rules.concurrent(),
        };
        let total = policy.total();
        let all = Subject {
            account: total.account().key(),
            limits: Arc::clone(total.limits()),
            concurrent: total.concurrent(),
        };
        let is_limited =
            |subject: &Subject| !subject.limits.is_empty() || subject.concurrent.is_some();
        let subjects: Arc<[Subject]> = [own, all].into_iter().filter(is_limited).collect();
        let has = |measure| {
            let mut limits = subjects.iter().flat_map(|subject| subject.limits.iter());
            limits.any(|limit| limit.measure == measure)
        };
        let in_usd = has(Measure::Usd);
        let under = Under {
            strict: self.mode() == Mode::Strict,
            spends: in_usd || has(Measure::Tokens),
            multi_agent: asks_for_agents(headers),
        };
        let grant = self.0.ledger.enter(subjects, self.mode());
        let grant = grant.map_err(|exceeded| over_limit(&exceeded, &who, self.mode()))?;
        let account = applied.account.key();
        let reservation = Arc::new(Reservation::new(
            self.clone(),
            Terms {
                rules: applied.rules,
                under,
                in_usd,
                who,
                account,
            },
            grant,
        ));
        let inspector = RequestInspector::new(encoding, self.0.max_body);
        let inspection = Inspection::new(inspector, decoder, Arc::clone(&reservation));
        Ok((reservation, inspection))
    }

    /// A permit for a decoder that takes much memory.
    fn decoder(
        &self,
        encoding: RequestEncoding,
        caller: &Caller,
    ) -> Result<Option<RequestPermit>, Refusal> {
        if encoding != RequestEncoding::Zstd {
            return Ok(None);
        }
        let permit = self.0.decoders.take(caller);
        permit.map(Some).ok_or_else(|| {
            let message = "too many requests in zstd are being read; try again, or send it without Content-Encoding";
            Refusal::because(Reason::TooManyRequests, message.to_owned())
        })
    }

    /// As refusals name a caller.
    fn name_of(&self, caller: &Caller) -> String {
        match (&caller.token, caller.user) {
            (Some(token), _) => token.to_string(),
            (None, Some(user)) => match self.0.names.name(user) {
                Some(name) => name.to_owned(),
                None => format!("user {user}"),
            },
            (None, None) => "everyone".to_owned(),
        }
    }
}

/// In requests, tokens or US dollars.
fn in_unit(measure: Measure, value: u64) -> f64 {
    match measure {
        Measure::Usd => value as f64 / 1e9,
        Measure::Requests | Measure::Tokens => value as f64,
    }
}

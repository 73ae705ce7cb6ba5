//! What callers may spend, by the policy that is in force.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use codex_ledger::{Estimator, Ledger, Limit, Measure, Mode, Subject};
use codex_policy::{Account, Policy, Under};
use http::HeaderMap;

use crate::access::caller::Caller;
use crate::access::inspection::Inspection;
use crate::access::over_limit::{measure_name, over_limit, per};
use crate::access::reservation::{Reservation, Terms};
use crate::inspect::request_facts::{RequestEncoding, RequestInspector};
use crate::observe::cost::PriceList;
use crate::observe::metrics::exposition::Budget;
use crate::observe::user_names::UserNames;
use crate::refusal::Refusal;

/// The field by which a request asks for agents of which each spends.
const BETA: &str = "openai-beta";

/// What follows in it.
const MULTI_AGENT: &str = "responses_multi_agent";

/// The account of all callers together.
pub(crate) const TOTAL: &str = "total";

/// The account of those whom no other table of the policy names.
pub(crate) const EVERYONE: &str = "everyone";

/// What callers may spend; clones share it.
#[derive(Clone)]
pub(crate) struct Spending(Arc<Shared>);

struct Shared {
    policy: RwLock<Arc<Policy>>,
    ledger: Ledger,
    estimator: Estimator,
    prices: PriceList,
    mode: Mode,
    /// The most that a body may decode to, in bytes.
    max_body: u64,
    names: UserNames,
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
            estimator: Estimator::default(),
            prices,
            mode,
            max_body,
            names,
        }))
    }

    /// The policy that is in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        let policy = self.0.policy.read();
        Arc::clone(&policy.unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another policy in force for requests that come from now on.
    pub(crate) fn replace_policy(&self, policy: impl Into<Arc<Policy>>) {
        let mut current = self
            .0
            .policy
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = policy.into();
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
            let in_unit = |value: u64| match limit.measure {
                Measure::Usd => value as f64 / 1e9,
                Measure::Requests | Measure::Tokens => value as f64,
            };
            Budget {
                account: account.to_string(),
                measure: measure_name(limit.measure),
                per: per(limit.window),
                most: in_unit(limit.most),
                spent: in_unit(spent.spent),
                held: in_unit(spent.held),
            }
        };
        limits.into_iter().map(of).collect()
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
        let encoding = RequestEncoding::from_headers(headers)?;
        let who = self.name_of(caller);
        let own = Subject {
            account: applied.account.key(),
            limits: Arc::clone(applied.rules.limits()),
            concurrent: applied.rules.concurrent(),
        };
        let total = policy.total();
        let all = Subject {
            account: TOTAL.into(),
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
        let grant = grant.map_err(|exceeded| over_limit(&exceeded, &who))?;
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
        let inspection = Inspection::new(inspector, Arc::clone(&reservation));
        Ok((reservation, inspection))
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

/// Whether a request asks for several agents, each of which spends (`OpenAI-Beta: responses_multi_agent=v1`).
fn asks_for_agents(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(BETA).iter();
    values.any(|value| memchr::memmem::find(value.as_bytes(), MULTI_AGENT.as_bytes()).is_some())
}

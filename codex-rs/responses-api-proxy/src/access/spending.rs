//! What callers may spend, by the policy that is in force.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use codex_ledger::{Estimator, Ledger, Limit, Measure, Mode, Subject};
use codex_policy::{Account, Policy, Under};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::caller::Caller;
use crate::access::inspection::Inspection;
use crate::access::over_limit::{measure_name, over_limit, per};
use crate::access::reservation::{Reservation, Terms};
use crate::inspect::request_facts::{RequestEncoding, RequestInspector};
use crate::observe::cost::PriceList;
use crate::observe::metrics::exposition::Budget;
use crate::observe::user_names::UserNames;
use crate::refusal::{Reason, Refusal};

/// The field by which a request asks for agents of which each spends.
const BETA: &str = "openai-beta";

/// What follows in it.
const MULTI_AGENT: &str = "responses_multi_agent";

/// How many requests in zstd are read at once: each can take 16 MiB.
const MAX_DECODERS: usize = 32;

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
    /// For decoders of zstd, whose windows take memory.
    decoders: Arc<Semaphore>,
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
            decoders: Arc::new(Semaphore::new(MAX_DECODERS)),
        }))
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
        refuse_other_types(headers)?;
        let encoding = RequestEncoding::from_headers(headers)?;
        let decoder = self.decoder(encoding)?;
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

    /// A place for a decoder that takes much memory.
    fn decoder(&self, encoding: RequestEncoding) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if encoding != RequestEncoding::Zstd {
            return Ok(None);
        }
        let permit = Arc::clone(&self.0.decoders).try_acquire_owned();
        permit.map(Some).map_err(|_| {
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

/// A body is read as JSON in UTF-8, and so it has to be by the upstream.
fn refuse_other_types(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let is_json = |value: &HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        let mut parts = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let is_utf_8 = |part: &[u8]| {
            part.is_empty() || matches!(part, b"charset=utf-8" | b"charset=\"utf-8\"")
        };
        parts.next() == Some(b"application/json") && parts.all(is_utf_8)
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if is_json(value) => Ok(()),
        _ => Err(Refusal::because(
            Reason::RequestNotAllowed,
            "the proxy's policy is about JSON: send Content-Type: application/json, without another charset than utf-8"
                .to_owned(),
        )),
    }
}

/// Whether a request asks for several agents, each of which spends (`OpenAI-Beta: responses_multi_agent=v1`).
fn asks_for_agents(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(BETA).iter();
    values.any(|value| memchr::memmem::find(value.as_bytes(), MULTI_AGENT.as_bytes()).is_some())
}

//! All metrics in the text format of Prometheus.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use codex_fleet::Standing;
use codex_process_hardening::Mitigation;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::observe::metrics::Metrics;
use crate::observe::metrics::store_gauges::{BudgetLabel, StoreGauges};
use crate::observe::stderr;
use crate::observe::upstream_connections::UpstreamConnections;

/// What [`Exposition::text`] is, as the header field says it.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// What is so at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// Connections of callers that have a slot.
    pub(crate) connections: usize,
    /// How many there can be.
    pub(crate) slots: usize,
    /// Requests that were read and are not over.
    pub(crate) requests: usize,
    /// Connections to the upstream, idle ones included.
    pub(crate) upstream_connections: usize,
    /// Connections that were closed for others, so far.
    pub(crate) evicted: u64,
    /// Limits of the policy.
    pub(crate) budgets: Vec<Budget>,
    /// How the server does that hosts share, where they do.
    pub(crate) store: Option<Standing>,
    /// What requests go up with; `None`: one key that stays.
    pub(crate) credential: Option<CredentialStanding>,
}

/// How it stands with credentials that change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CredentialStanding {
    /// Where credentials come from, such as `file`.
    pub(crate) kind: &'static str,
    /// Of the newest; 0 if there has been none.
    pub(crate) generation: u64,
    /// For how long the one in force has been so; `None` if none is.
    pub(crate) age: Option<Duration>,
    /// For how long the one in force is good; `None` if it does not expire.
    pub(crate) expires_in: Option<Duration>,
    /// How often a new one could not be had.
    pub(crate) failures: u64,
}

/// A limit of the policy, and what is spent of it; in requests, tokens or US dollars.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Budget {
    pub(crate) account: String,
    /// `requests`, `tokens` or `usd`.
    pub(crate) measure: &'static str,
    /// In which time.
    pub(crate) per: String,
    pub(crate) most: f64,
    pub(crate) spent: f64,
    /// By requests that are under way.
    pub(crate) held: f64,
    /// What this host may spend of it without asking; `None` where hosts share nothing.
    pub(crate) leased: Option<f64>,
}

/// Metrics before it is known whom to ask for the rest.
#[derive(Debug)]
pub(crate) struct Registered {
    registry: Registry,
    dropped_on_stderr: Counter,
}

/// Everything that a scrape gets.
pub(crate) struct Exposition {
    registry: Registry,
    dropped_on_stderr: Counter,
    gauges: Gauges,
    /// Asked at each scrape.
    moment: Box<dyn Fn() -> Moment + Send + Sync>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

#[derive(Debug, Default)]
struct Gauges {
    connections: Gauge,
    slots: Gauge,
    requests: Gauge,
    upstream_connections: Gauge,
    evicted: Counter,
    limits: Family<BudgetLabel, Gauge<f64, AtomicU64>>,
    spent: Family<BudgetLabel, Gauge<f64, AtomicU64>>,
    held: Family<BudgetLabel, Gauge<f64, AtomicU64>>,
    store: StoreGauges,
    credential: CredentialGauges,
}

/// Registered where credentials change.
#[derive(Debug, Default)]
struct CredentialGauges {
    available: Gauge,
    age: Gauge<f64, AtomicU64>,
    replaced: Counter,
    failures: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtectionLabel {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
}

impl Registered {
    /// What counts finished requests, and where its counts are found.
    pub(crate) fn new() -> (Metrics, Self) {
        let mut registry = Registry::default();
        let (metrics, dropped_on_stderr) = Metrics::new(&mut registry);
        let registered = Self {
            registry,
            dropped_on_stderr,
        };
        (metrics, registered)
    }

    /// Adds what is not learned from finished requests. Each of `protections` is what was to be given up; without a
    /// sandbox none of its parts is among them, and it is named as a whole.
    pub(crate) fn complete(
        self,
        protections: &[Mitigation],
        has_sandbox: bool,
        upstream: &UpstreamConnections,
        moment: impl Fn() -> Moment + Send + Sync + 'static,
    ) -> Exposition {
        let Self {
            mut registry,
            dropped_on_stderr,
        } = self;
        registry.register(
            "codex_proxy_upstream_connect_seconds",
            "How long connections to the upstream took to come about, look-up and TLS included",
            upstream.times().clone(),
        );
        let gauges = Gauges::register(&mut registry);
        if moment().credential.is_some() {
            gauges.credential.register(&mut registry);
        }
        if moment().store.is_some() {
            gauges.store.register(&mut registry);
        }
        let family = Family::<ProtectionLabel, Gauge>::default();
        let named = protections
            .iter()
            .map(|protection| (protection.name.to_string(), protection.outcome.is_ok()))
            .chain([("sandbox".to_owned(), has_sandbox)]);
        for (name, is_applied) in named {
            let label = ProtectionLabel { name };
            family.get_or_create(&label).set(i64::from(is_applied));
        }
        registry.register(
            "codex_proxy_protection",
            "1 if this protection is applied, 0 if it could not be",
            family,
        );
        let version = env!("CARGO_PKG_VERSION");
        registry.register(
            "codex_proxy_build",
            "The version that runs",
            Info::new(BuildLabel { version }),
        );
        registry.register(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            start_time(),
        );
        Exposition {
            registry,
            dropped_on_stderr,
            gauges,
            moment: Box::new(moment),
        }
    }
}

fn start_time() -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::default();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    gauge.set(since.map_or(0.0, |since| since.as_secs_f64()));
    gauge
}

impl Gauges {
    fn register(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        registry.register(
            "codex_proxy_open_connections",
            "Connections of callers",
            gauges.connections.clone(),
        );
        registry.register(
            "codex_proxy_connection_slots",
            "How many connections of callers there can be",
            gauges.slots.clone(),
        );
        registry.register(
            "codex_proxy_open_requests",
            "Requests that were read and are not over",
            gauges.requests.clone(),
        );
        registry.register(
            "codex_proxy_upstream_connections",
            "Connections to the upstream, idle ones included",
            gauges.upstream_connections.clone(),
        );
        registry.register(
            "codex_proxy_evicted_connections",
            "Idle connections of callers that were closed to make room for others",
            gauges.evicted.clone(),
        );
        registry.register(
            "codex_proxy_budget_limit",
            "The most that an account may spend, in requests, tokens or US dollars",
            gauges.limits.clone(),
        );
        registry.register(
            "codex_proxy_budget_spent",
            "What of it is spent",
            gauges.spent.clone(),
        );
        registry.register(
            "codex_proxy_budget_held",
            "What is reserved besides for requests that are under way",
            gauges.held.clone(),
        );
        gauges
    }

    /// Limits that are in the policy no more are gone from here too.
    fn set_budgets(&self, budgets: &[Budget]) {
        let families = [&self.limits, &self.spent, &self.held, &self.store.leased];
        families.into_iter().for_each(Family::clear);
        for budget in budgets {
            let label = BudgetLabel {
                account: budget.account.clone(),
                unit: budget.measure,
                per: budget.per.clone(),
            };
            let leased = budget.leased.unwrap_or_default();
            let values = [budget.most, budget.spent, budget.held, leased];
            for (family, value) in families.into_iter().zip(values) {
                family.get_or_create(&label).set(value);
            }
        }
    }

    fn set(&self, moment: &Moment) {
        let set = |gauge: &Gauge, to: usize| {
            gauge.set(i64::try_from(to).unwrap_or(i64::MAX));
        };
        set(&self.connections, moment.connections);
        set(&self.slots, moment.slots);
        set(&self.requests, moment.requests);
        set(&self.upstream_connections, moment.upstream_connections);
        self.evicted
            .inner()
            .store(moment.evicted, Ordering::Relaxed);
        self.set_budgets(&moment.budgets);
        if let Some(standing) = &moment.store {
            self.store.set(standing);
        }
        if let Some(standing) = &moment.credential {
            self.credential.set(standing);
        }
    }
}

impl CredentialGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "codex_proxy_credential_available",
            "1 if there is a credential in force, 0 if not",
            self.available.clone(),
        );
        registry.register(
            "codex_proxy_credential_age_seconds",
            "For how long the credential in force has been so",
            self.age.clone(),
        );
        registry.register(
            "codex_proxy_credential_generations",
            "How many credentials there have been, the first included",
            self.replaced.clone(),
        );
        registry.register(
            "codex_proxy_credential_failures",
            "How often a new credential could not be had",
            self.failures.clone(),
        );
    }

    fn set(&self, standing: &CredentialStanding) {
        self.available.set(i64::from(standing.age.is_some()));
        self.age
            .set(standing.age.map_or(0.0, |age| age.as_secs_f64()));
        for (counter, to) in [
            (&self.replaced, standing.generation),
            (&self.failures, standing.failures),
        ] {
            counter.inner().store(to, Ordering::Relaxed);
        }
    }
}

impl Exposition {
    /// Everything, as it is now: tens of milliseconds of work where models and callers are as many as they can be.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written, which would be a fault of its own.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        self.gauges.set(&(self.moment)());
        let dropped = self.dropped_on_stderr.inner();
        dropped.store(stderr::dropped(), Ordering::Relaxed);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

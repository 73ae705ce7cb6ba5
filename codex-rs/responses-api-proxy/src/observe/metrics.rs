//! What Prometheus is told: counters and histograms of finished requests, which the thread that reads their records
//! feeds, and what is open at the moment of a scrape.
//!
//! Every label has a bounded number of values. A model has one of its own once an answer has named it, and a caller
//! once a request of its was permitted; callers that were only refused share a part of the room, so that whoever has
//! many user numbers to call with does not take the names of those who are served.
//!
//! docs/observing.md has a table of all of them: a test compares them.

pub(crate) mod exposition;
mod labels;
mod store_gauges;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::observe::cost::Cost;
use crate::observe::finished::{CallerFacts, Finished};
use crate::observe::text_line::caller_name;
use crate::observe::user_names::UserNames;

use self::labels::{Labels, Slot};

/// How many models have a name of their own.
const MOST_MODELS: usize = 64;

/// How many callers do; and how many of these by requests that were refused.
const MOST_CALLERS: usize = 256;
const MOST_REFUSED_CALLERS: usize = 64;

/// Upper bounds in seconds, as the semantic conventions of OpenTelemetry advise for `gen_ai.server.request.duration`,
/// and two more for answers that take minutes.
const DURATION_BOUNDS: [f64; 16] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68,
];

/// As advised there for `gen_ai.server.time_to_first_token`.
const FIRST_TOKEN_BOUNDS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

type Dollars = Counter<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
    code: &'static str,
    model: Arc<str>,
    caller: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    r#type: &'static str,
    model: Arc<str>,
    caller: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpenderLabels {
    model: Arc<str>,
    caller: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LogLabel {
    log: &'static str,
}

/// What has lines to drop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DroppedOf {
    /// Whole records, which are in no log and in no other metric.
    Records,
    AccessLog,
}

/// Counts finished requests. It belongs to one thread, so that counting waits for nobody.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<OutcomeLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    dollars: Family<SpenderLabels, Dollars>,
    durations: Family<ModelLabel, Histogram>,
    first_tokens: Family<ModelLabel, Histogram>,
    before_head: Family<CodeLabel, Counter>,
    dropped_records: Counter,
    dropped_of_access_log: Counter,
    models: Labels<str>,
    callers: Labels<CallerFacts>,
    known: BTreeMap<Kind, Counters>,
}

/// By what requests are told apart: model, caller, outcome and code.
type Kind = (Slot, Slot, &'static str, &'static str);

/// What requests of one kind were counted by before: to look each up by its labels would take as long as all the rest.
#[derive(Debug)]
struct Counters {
    requests: Counter,
    tokens: Option<[Counter; 4]>,
    dollars: Option<Dollars>,
    durations: Option<Histogram>,
    first_tokens: Option<Histogram>,
}

impl Metrics {
    /// With what they are registered in, and the counter of lines that standard error did not take.
    fn new(registry: &mut Registry) -> (Self, Counter) {
        let dropped = Family::<LogLabel, Counter>::default();
        let dropped_of = |log| dropped.get_or_create_owned(&LogLabel { log });
        let metrics = Self {
            requests: Family::default(),
            tokens: Family::default(),
            dollars: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BOUNDS)),
            first_tokens: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_BOUNDS)),
            before_head: Family::default(),
            dropped_records: dropped_of("records"),
            dropped_of_access_log: dropped_of("access_log"),
            models: Labels::new(),
            callers: Labels::new(),
            known: BTreeMap::new(),
        };
        registry.register(
            "codex_proxy_requests",
            "Requests by how they came out",
            metrics.requests.clone(),
        );
        registry.register(
            "codex_proxy_tokens",
            "Tokens as the upstream counts them: input includes cached, output includes reasoning",
            metrics.tokens.clone(),
        );
        registry.register(
            "codex_proxy_cost_usd",
            "What requests cost in US dollars, as far as prices are known",
            metrics.dollars.clone(),
        );
        registry.register(
            "gen_ai_server_request_duration_seconds",
            "From the head of a request to the end of its answer, of requests that the upstream answered",
            metrics.durations.clone(),
        );
        registry.register(
            "gen_ai_server_time_to_first_token_seconds",
            "From the head of a request to the first piece of output in its answer",
            metrics.first_tokens.clone(),
        );
        registry.register(
            "codex_proxy_refused_before_head",
            "Requests that were refused before their head was read, or because it could not be; they are among all \
             requests too",
            metrics.before_head.clone(),
        );
        let on_stderr = dropped_of("stderr");
        registry.register(
            "codex_proxy_log_lines_dropped",
            "Lines that a log did not take in time; of records, requests that are in no log and no metric",
            dropped,
        );
        (metrics, on_stderr)
    }

    /// Counts one request. `names` are those of users.
    pub(crate) fn record(&mut self, finished: &Finished, cost: Option<Cost>, names: &UserNames) {
        let answer = finished.answer.as_ref();
        let model = match answer.and_then(|answer| answer.model.as_deref()) {
            Some(model) => self.models.slot(model, MOST_MODELS, || model.to_owned()),
            None => Slot::NOTHING,
        };
        let caller = self.caller(finished, names);
        let (outcome, code) = (finished.outcome.name(), finished.outcome.code());
        let code = code.unwrap_or_default();
        if finished.is_of_unread_head() {
            self.before_head.get_or_create(&CodeLabel { code }).inc();
        }
        let known = self.known.entry((model, caller, outcome, code));
        let counters = known.or_insert_with(|| Counters {
            requests: self.requests.get_or_create_owned(&OutcomeLabels {
                outcome,
                code,
                model: self.models.value(model),
                caller: self.callers.value(caller),
            }),
            tokens: None,
            dollars: None,
            durations: None,
            first_tokens: None,
        });
        counters.requests.inc();
        if let Some(usage) = answer.and_then(|answer| answer.usage) {
            let of_type = |r#type| {
                self.tokens.get_or_create_owned(&TokenLabels {
                    r#type,
                    model: self.models.value(model),
                    caller: self.callers.value(caller),
                })
            };
            let all = ["input", "cached", "output", "reasoning"];
            let tokens = counters.tokens.get_or_insert_with(|| all.map(of_type));
            let counts = [usage.input, usage.cached, usage.output, usage.reasoning];
            for (counter, count) in tokens.iter().zip(counts) {
                counter.inc_by(count);
            }
        }
        if let Some(cost) = cost {
            let dollars = counters.dollars.get_or_insert_with(|| {
                self.dollars.get_or_create_owned(&SpenderLabels {
                    model: self.models.value(model),
                    caller: self.callers.value(caller),
                })
            });
            dollars.inc_by(cost.usd);
        }
        let label = || ModelLabel {
            model: self.models.value(model),
        };
        if finished.first_byte.is_some() {
            let durations = counters
                .durations
                .get_or_insert_with(|| self.durations.get_or_create_owned(&label()));
            durations.observe(finished.duration.as_secs_f64());
        }
        if let Some(first) = finished.first_output {
            let first_tokens = counters
                .first_tokens
                .get_or_insert_with(|| self.first_tokens.get_or_create_owned(&label()));
            first_tokens.observe(first.as_secs_f64());
        }
    }

    /// So many lines, or records, were dropped.
    pub(crate) fn count_dropped(&self, of: DroppedOf, count: u64) {
        match of {
            DroppedOf::Records => self.dropped_records.inc_by(count),
            DroppedOf::AccessLog => self.dropped_of_access_log.inc_by(count),
        };
    }

    fn caller(&mut self, finished: &Finished, names: &UserNames) -> Slot {
        let caller = &finished.caller;
        if *caller == CallerFacts::default() {
            return Slot::NOTHING;
        }
        let most = if finished.path.is_some() {
            MOST_CALLERS
        } else {
            MOST_REFUSED_CALLERS
        };
        self.callers
            .slot(caller, most, || caller_name(caller, names))
    }
}

#[cfg(test)]
mod tests;

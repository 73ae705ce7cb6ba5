//! Metrics of the server that hosts share; registered where they do.

use std::sync::atomic::{AtomicU64, Ordering};

use codex_fleet::Standing;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Which limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BudgetLabel {
    pub(super) account: String,
    pub(super) unit: &'static str,
    pub(super) per: String,
}

/// How a server does that hosts share, and what of it this host has.
#[derive(Debug, Default)]
pub(super) struct StoreGauges {
    pub(super) leased: Family<BudgetLabel, Gauge<f64, AtomicU64>>,
    up: Gauge,
    since_answer: Gauge<f64, AtomicU64>,
    errors: Counter,
}

impl StoreGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "codex_proxy_budget_leased",
            "What of it this host may spend without asking the server of --ledger",
            self.leased.clone(),
        );
        registry.register(
            "codex_proxy_ledger_up",
            "1 if the server of --ledger has answered the last time, 0 if not",
            self.up.clone(),
        );
        registry.register(
            "codex_proxy_ledger_since_answer_seconds",
            "How long ago it has last answered",
            self.since_answer.clone(),
        );
        registry.register(
            "codex_proxy_ledger_errors",
            "How often it has not",
            self.errors.clone(),
        );
    }

    pub(super) fn set(&self, standing: &Standing) {
        self.up.set(i64::from(standing.is_up));
        self.since_answer.set(standing.since_answer.as_secs_f64());
        self.errors
            .inner()
            .store(standing.errors, Ordering::Relaxed);
    }
}

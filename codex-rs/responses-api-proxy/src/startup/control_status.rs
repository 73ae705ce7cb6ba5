//! How the proxy is, from all that know a part of it: asked by the thread of the control socket alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use codex_control::protocol::VERSION;
use codex_control::{
    Caller, Connections, Credential as CredentialStatus, Dropped, Fault, OutcomeCount, Phase,
    Requests, SharedLedger, State, Status, Stream, Upstream,
};

use crate::access::spending::Spending;
use crate::credential::Credential;
use crate::downstream::connection_limit::ConnectionLimit;
use crate::lifecycle::shutdown::Shutdown;
use crate::observe::finished::CallerFacts;
use crate::observe::observer::Observer;
use crate::observe::open_records::Live;
use crate::observe::printable::{printable, printable_within};
use crate::observe::stderr;
use crate::observe::tally::{LastFault, Spent, Tally, Totals};
use crate::observe::text_line::caller_name;
use crate::observe::timestamp::Rfc3339;
use crate::observe::upstream_connections::UpstreamConnections;
use crate::startup::start_up_lines::StartUpLines;

/// How many requests in flight are told one by one.
const MOST_STREAMS: usize = 1024;

/// How much is told of the name of a model, in bytes.
const MODEL_SHOWN: usize = 64;

/// Whoever was not given a place of their own.
const OTHERS: &str = "others";

/// Everyone who knows a part of it.
pub(super) struct Sources {
    /// What does not change.
    pub(super) fixed: Status,
    pub(super) since: Instant,
    pub(super) shutdown: Shutdown,
    pub(super) observer: Observer,
    pub(super) tally: Tally,
    pub(super) limit: Arc<ConnectionLimit>,
    pub(super) credential: Credential,
    pub(super) upstream: UpstreamConnections,
    pub(super) spending: Option<Spending>,
}

/// How the server does that hosts share.
fn ledger(spending: &Spending) -> Option<SharedLedger> {
    let standing = spending.standing()?;
    Some(SharedLedger {
        address: printable(&standing.address),
        up: standing.is_up,
        since_answer_seconds: standing.since_answer.as_secs_f64(),
        errors: standing.errors,
        error: standing.error.as_deref().map(printable),
        warnings: standing
            .concerns
            .iter()
            .map(|concern| printable(&concern.to_string()))
            .collect(),
    })
}

impl Sources {
    pub(super) fn in_flight(&self) -> usize {
        self.observer.in_flight().requests()
    }

    pub(super) fn status(&self, wants_streams: bool) -> Status {
        // Before what is over is counted: a request may be in neither, and is never in both.
        let live = self.observer.open_records().map(|open| open.all());
        let live = live.unwrap_or_default();
        let totals = self.tally.totals();
        let (open, slots, evicted) = self.limit.counts();
        let in_flight = self.observer.in_flight();
        let budgets = self.spending.as_ref().map(|spending| {
            let callers = totals
                .callers
                .keys()
                .chain(live.iter().map(|live| &live.caller));
            let callers = callers.map(|caller| (caller.uid, caller.token.as_deref()));
            spending.budgets_with(callers)
        });
        Status {
            v: VERSION,
            state: match self.shutdown.is_begun() {
                true => State::Draining,
                false => State::Serving,
            },
            uptime_seconds: self.since.elapsed().as_secs_f64(),
            upstream: Upstream {
                connections: number(self.upstream.open()),
                last_fault: totals.last_fault.as_ref().map(fault),
                ..self.fixed.upstream.clone()
            },
            credential: self.credential_status(),
            requests: Requests {
                finished: totals.finished,
                in_flight: number(live.len()),
                most_in_flight: number(in_flight.peak()),
                outcomes: outcomes(&totals),
            },
            tokens: totals.all.tokens,
            cost_usd: totals.all.usd,
            cost_is_estimated: totals.all.is_estimated,
            connections: Connections {
                open: number(open),
                slots: number(slots),
                evicted,
            },
            callers: self.callers(&totals, &live),
            budgets,
            ledger: self.spending.as_ref().and_then(ledger),
            streams_left_out: match wants_streams {
                true => number(live.len().saturating_sub(MOST_STREAMS)),
                false => 0,
            },
            streams: wants_streams.then(|| {
                let told = live.iter().take(MOST_STREAMS);
                told.map(|live| self.stream(live)).collect()
            }),
            dropped: Dropped {
                records: totals.dropped_records,
                access_log: totals.dropped_of_access_log,
                stderr: stderr::dropped(),
            },
            ..self.fixed.clone()
        }
    }

    fn credential_status(&self) -> CredentialStatus {
        match self.credential.standing() {
            None => CredentialStatus {
                kind: "stdin".to_owned(),
                generation: 1,
                available: true,
                age_seconds: Some(self.since.elapsed().as_secs_f64()),
                ..CredentialStatus::default()
            },
            Some(standing) => CredentialStatus {
                kind: standing.kind.to_owned(),
                generation: standing.generation,
                available: standing.age.is_some(),
                age_seconds: standing.age.map(|age| age.as_secs_f64()),
                expires_in_seconds: standing.expires_in.map(|left| left.as_secs_f64()),
                failures: standing.failures,
            },
        }
    }

    fn stream(&self, live: &Live) -> Stream {
        let model = live.model.as_deref();
        Stream {
            id: self.observer.id(live.number).to_string(),
            caller: self.name(&live.caller),
            model: model.map(|model| printable_within(model, MODEL_SHOWN).into_owned()),
            phase: match (live.is_answered, live.streams_for) {
                (_, Some(_)) => Phase::Streaming,
                (true, None) => Phase::Answering,
                (false, None) => Phase::Waiting,
            },
            age_seconds: live.age.as_secs_f64(),
            tokens: live.deltas,
            tokens_per_second: live.rate(),
            request_bytes: live.request_bytes,
            response_bytes: live.response_bytes,
        }
    }

    /// Those who have called or are connected, whoever spent most first.
    fn callers(&self, totals: &Totals, live: &[Live]) -> Vec<Caller> {
        let connections: HashMap<Option<u32>, usize> =
            self.limit.counts_by_user().into_iter().collect();
        let mut callers: HashMap<CallerFacts, Caller> = HashMap::new();
        for (facts, spent) in &totals.callers {
            callers.insert(facts.clone(), spent_by(spent));
        }
        let mut others = totals.others.as_ref().map(spent_by);
        let most = callers.len().max(MOST_STREAMS);
        for live in live {
            let caller = if callers.contains_key(&live.caller) || callers.len() < most {
                callers.entry(live.caller.clone()).or_default()
            } else {
                others.get_or_insert_default()
            };
            caller.in_flight += 1;
            caller.tokens_per_second += live.rate();
        }
        for &uid in connections.keys() {
            let is_known = callers.keys().any(|facts| facts.uid == uid);
            if !is_known && callers.len() < most {
                let facts = CallerFacts { uid, token: None };
                callers.insert(facts, Caller::default());
            }
        }
        let mut told: Vec<Caller> = callers
            .into_iter()
            .map(|(facts, caller)| Caller {
                name: self.name(&facts),
                uid: facts.uid,
                token: facts.token.as_deref().map(str::to_owned),
                connections: number(connections.get(&facts.uid).copied().unwrap_or(0)),
                ..caller
            })
            .collect();
        told.sort_by(|a, b| {
            let usd = |caller: &Caller| caller.cost_usd.unwrap_or(0.0);
            usd(b)
                .total_cmp(&usd(a))
                .then_with(|| b.requests.cmp(&a.requests))
                .then_with(|| a.name.cmp(&b.name))
        });
        told.extend(others.map(|others| Caller {
            name: OTHERS.to_owned(),
            ..others
        }));
        told
    }

    fn name(&self, caller: &CallerFacts) -> String {
        printable(&caller_name(caller, self.observer.names()))
    }
}

fn spent_by(spent: &Spent) -> Caller {
    Caller {
        requests: spent.requests,
        refused: spent.refused,
        tokens: spent.tokens,
        cost_usd: spent.usd,
        ..Caller::default()
    }
}

fn outcomes(totals: &Totals) -> Vec<OutcomeCount> {
    let outcomes = totals.outcomes.iter();
    outcomes
        .map(|(&(outcome, code), &count)| OutcomeCount {
            outcome: outcome.to_owned(),
            code: code.map(str::to_owned),
            count,
        })
        .collect()
}

fn fault(last: &LastFault) -> Fault {
    Fault {
        at: Rfc3339(last.at).to_string(),
        seconds_ago: last.ago().as_secs_f64(),
        outcome: last.outcome.to_owned(),
        code: last.code.to_owned(),
        cause: printable(&last.cause),
    }
}

/// What is so from the start on.
pub(super) fn fixed(
    lines: StartUpLines,
    listening: Vec<String>,
    metrics: Option<String>,
    upstream: String,
    is_clear: bool,
) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: Rfc3339(SystemTime::now()).to_string(),
        listening,
        metrics,
        upstream: Upstream {
            name: upstream,
            tls: !is_clear,
            route: lines.upstream,
            ..Upstream::default()
        },
        protections: lines.protections,
        warnings: lines.warnings,
        ..Status::default()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

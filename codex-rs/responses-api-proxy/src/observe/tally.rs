//! All requests so far, added up for whoever asks the control socket.
//!
//! The thread that reads records adds to it, and the one that answers reads it. Like metrics it has room for so many
//! callers and no more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use codex_control::Tokens;

use crate::observe::cost::Cost;
use crate::observe::finished::{CallerFacts, Finished};
use crate::observe::outcome::Outcome;

/// How many callers are told apart; and how many of these by requests that were refused.
const MOST_CALLERS: usize = 256;
const MOST_REFUSED_CALLERS: usize = 64;

/// Clones share what was added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Totals>>);

/// What was added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) finished: u64,
    /// By outcome and code.
    pub(crate) outcomes: BTreeMap<(&'static str, Option<&'static str>), u64>,
    pub(crate) all: Spent,
    pub(crate) callers: HashMap<CallerFacts, Spent>,
    /// Of callers for whom there was no room.
    pub(crate) others: Option<Spent>,
    pub(crate) last_fault: Option<LastFault>,
    pub(crate) dropped_records: u64,
    pub(crate) dropped_of_access_log: u64,
}

/// What some requests came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) tokens: Tokens,
    /// In US dollars, of those that have a price.
    pub(crate) usd: Option<f64>,
    pub(crate) is_estimated: bool,
}

/// When the upstream failed last.
#[derive(Clone, Debug)]
pub(crate) struct LastFault {
    pub(crate) at: SystemTime,
    pub(crate) outcome: &'static str,
    pub(crate) code: &'static str,
    /// Printable.
    pub(crate) cause: String,
}

impl Tally {
    pub(crate) fn add(&self, finished: &Finished, cost: Option<Cost>) {
        self.lock().add(finished, cost);
    }

    /// So many records were dropped.
    pub(crate) fn count_dropped_records(&self, count: u64) {
        self.lock().dropped_records += count;
    }

    /// So many lines of the access log were.
    pub(crate) fn count_dropped_of_access_log(&self, count: u64) {
        self.lock().dropped_of_access_log += count;
    }

    /// As it is now.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn add(&mut self, finished: &Finished, cost: Option<Cost>) {
        let outcome = &finished.outcome;
        self.finished += 1;
        let key = (outcome.name(), outcome.code());
        *self.outcomes.entry(key).or_default() += 1;
        self.all.add(finished, cost);
        self.of_caller(finished).add(finished, cost);
        if let Outcome::UpstreamFailed { code, cause } | Outcome::UpstreamCut { code, cause } =
            outcome
        {
            let at = finished.at.checked_add(finished.duration);
            self.last_fault = Some(LastFault {
                at: at.unwrap_or(finished.at),
                outcome: outcome.name(),
                code,
                cause: cause.clone(),
            });
        }
    }

    fn of_caller(&mut self, finished: &Finished) -> &mut Spent {
        let most = if finished.path.is_some() {
            MOST_CALLERS
        } else {
            MOST_REFUSED_CALLERS
        };
        let caller = &finished.caller;
        if self.callers.contains_key(caller) || self.callers.len() < most {
            self.callers.entry(caller.clone()).or_default()
        } else {
            self.others.get_or_insert_default()
        }
    }
}

impl Spent {
    fn add(&mut self, finished: &Finished, cost: Option<Cost>) {
        self.requests += 1;
        self.refused += u64::from(matches!(finished.outcome, Outcome::Refused { .. }));
        if let Some(usage) = finished.answer.as_ref().and_then(|answer| answer.usage) {
            let tokens = &mut self.tokens;
            for (sum, count) in [
                (&mut tokens.input, usage.input),
                (&mut tokens.cached, usage.cached),
                (&mut tokens.output, usage.output),
                (&mut tokens.reasoning, usage.reasoning),
            ] {
                *sum = sum.saturating_add(count);
            }
        }
        if let Some(cost) = cost {
            *self.usd.get_or_insert(0.0) += cost.usd;
            self.is_estimated |= cost.is_estimated;
        }
    }
}

impl LastFault {
    /// How long ago; nothing if the clock was set back since.
    pub(crate) fn ago(&self) -> Duration {
        SystemTime::now()
            .duration_since(self.at)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uid: u32, outcome: Outcome, is_permitted: bool) -> Finished {
        Finished {
            caller: CallerFacts {
                uid: Some(uid),
                token: None,
            },
            path: is_permitted.then_some("/v1/responses"),
            outcome,
            ..Finished::for_test()
        }
    }

    #[test]
    fn requests_are_added_up_by_outcome_and_by_caller() {
        let tally = Tally::default();
        let cost = Cost {
            usd: 0.25,
            is_estimated: false,
        };
        tally.add(&of(1, Outcome::Complete, true), Some(cost));
        tally.add(&of(1, Outcome::Complete, true), Some(cost));
        let failed = Outcome::UpstreamFailed {
            code: "upstream_connect",
            cause: "refused".to_owned(),
        };
        let failed = Finished {
            answer: None,
            ..of(2, failed, true)
        };
        tally.add(&failed, None);
        tally.count_dropped_records(2);
        tally.count_dropped_of_access_log(3);
        let totals = tally.totals();
        assert_eq!(totals.finished, 3);
        assert_eq!(totals.outcomes[&("complete", None)], 2);
        let key = ("upstream_failed", Some("upstream_connect"));
        assert_eq!(totals.outcomes[&key], 1);
        assert_eq!(totals.all.tokens.input, 20_200);
        assert_eq!(totals.all.usd, Some(0.5));
        let second = CallerFacts {
            uid: Some(2),
            token: None,
        };
        assert_eq!(totals.callers[&second].requests, 1);
        assert_eq!(totals.callers[&second].usd, None);
        assert_eq!(totals.last_fault.unwrap().code, "upstream_connect");
        assert_eq!(
            (totals.dropped_records, totals.dropped_of_access_log),
            (2, 3)
        );
    }

    #[test]
    fn callers_that_are_only_refused_leave_room_for_those_that_are_served() {
        let tally = Tally::default();
        let refused = || Outcome::Refused {
            code: "path_not_allowed",
            cause: String::new(),
        };
        for uid in 0..1_000 {
            tally.add(&of(uid, refused(), false), None);
        }
        assert_eq!(tally.totals().callers.len(), MOST_REFUSED_CALLERS);
        for uid in 1_000..2_000 {
            tally.add(&of(uid, Outcome::Complete, true), None);
        }
        let totals = tally.totals();
        assert_eq!(totals.callers.len(), MOST_CALLERS);
        let others = totals.others.unwrap();
        assert_eq!((others.requests, others.refused), (1_744, 936));
        assert_eq!(totals.finished, 2_000);
    }
}

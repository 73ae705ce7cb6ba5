//! What a person who started the proxy on a terminal is told at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_control::count;

use crate::observe::cost::Cost;
use crate::observe::finished::Finished;
use crate::observe::text_line::{caller_name, dollars};
use crate::observe::user_names::UserNames;

/// How many callers have a line of their own.
const MOST_CALLERS: usize = 20;

/// All requests so far.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    outcomes: BTreeMap<&'static str, u64>,
    callers: BTreeMap<String, Spent>,
    slowest: Option<(Duration, String)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    requests: u64,
    input: u64,
    output: u64,
    cost: Option<f64>,
    is_estimated: bool,
}

impl Spent {
    fn add(&mut self, finished: &Finished, cost: Option<Cost>) {
        self.requests += 1;
        if let Some(usage) = finished.answer.as_ref().and_then(|answer| answer.usage) {
            self.input = self.input.saturating_add(usage.input);
            self.output = self.output.saturating_add(usage.output);
        }
        if let Some(cost) = cost {
            *self.cost.get_or_insert(0.0) += cost.usd;
            self.is_estimated |= cost.is_estimated;
        }
    }
}

impl Summary {
    pub(crate) fn add(&mut self, finished: &Finished, cost: Option<Cost>, names: &UserNames) {
        *self.outcomes.entry(finished.outcome.name()).or_default() += 1;
        let caller = caller_name(&finished.caller, names);
        if self
            .slowest
            .as_ref()
            .is_none_or(|(slowest, _)| finished.duration > *slowest)
        {
            self.slowest = Some((finished.duration, caller.clone()));
        }
        // Tokens are made by whoever runs the proxy, but users are many.
        let has_room = self.callers.len() < MOST_CALLERS || self.callers.contains_key(&caller);
        let key = if has_room {
            caller
        } else {
            "others".to_owned()
        };
        self.callers.entry(key).or_default().add(finished, cost);
    }

    /// In US dollars, of all that has a price.
    pub(crate) fn cost(&self) -> Option<f64> {
        self.callers
            .values()
            .filter_map(|spent| spent.cost)
            .reduce(|sum, cost| sum + cost)
    }

    /// None if there were no requests. `peak`: the most requests at once.
    pub(crate) fn lines(&self, peak: usize) -> Vec<String> {
        let total: u64 = self.outcomes.values().sum();
        let Some((slowest, whose)) = &self.slowest else {
            return Vec::new();
        };
        let outcomes: Vec<String> = self
            .outcomes
            .iter()
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        let mut lines = vec![format!(
            "{} ({}), at most {peak} at once, the slowest {:.1}s ({whose})",
            requests(total),
            outcomes.join(", "),
            slowest.as_secs_f64()
        )];
        for (caller, spent) in &self.callers {
            let cost = spent.cost.map_or_else(String::new, |usd| {
                let is_estimated = spent.is_estimated;
                format!(", {}", dollars(Cost { usd, is_estimated }))
            });
            lines.push(format!(
                "  {caller}: {}, {} -> {} tok{cost}",
                requests(spent.requests),
                count(spent.input),
                count(spent.output)
            ));
        }
        lines
    }
}

/// `1 request`, `3 requests`.
pub(crate) fn requests(count: u64) -> String {
    match count {
        1 => "1 request".to_owned(),
        several => format!("{several} requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::observe::finished::CallerFacts;
    use crate::observe::outcome::Outcome;

    #[test]
    fn a_summary_has_a_line_for_all_and_one_for_each_caller() {
        let names = UserNames::parse("alice:x:1001:");
        let mut summary = Summary::default();
        assert!(summary.lines(0).is_empty());
        let cost = Cost {
            usd: 0.5,
            is_estimated: false,
        };
        for _ in 0..2 {
            summary.add(&Finished::for_test(), Some(cost), &names);
        }
        let refused = Finished {
            outcome: Outcome::CallerLeft,
            caller: CallerFacts::default(),
            duration: Duration::from_secs(9),
            answer: None,
            ..Finished::for_test()
        };
        summary.add(&refused, None, &names);
        assert_eq!(summary.cost(), Some(1.0));
        assert_eq!(
            summary.lines(2),
            [
                "3 requests (1 caller_left, 2 complete), at most 2 at once, the slowest 9.0s (-)",
                "  -: 1 request, 0 -> 0 tok",
                "  alice/ci: 2 requests, 20.2k -> 624 tok, $1.00",
            ]
        );
    }

    #[test]
    fn no_more_than_so_many_callers_have_a_line() {
        let mut summary = Summary::default();
        for uid in 0..100 {
            let caller = CallerFacts {
                uid: Some(uid),
                token: None,
            };
            let finished = Finished {
                caller,
                ..Finished::for_test()
            };
            summary.add(&finished, None, &UserNames::default());
        }
        let lines = summary.lines(1);
        assert_eq!(lines.len(), MOST_CALLERS + 2);
        assert!(lines.iter().any(|line| line.starts_with("  others: 80 ")));
    }
}

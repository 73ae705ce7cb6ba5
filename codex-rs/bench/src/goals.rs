//! What we aim at, and whether this run got there.

use crate::contestant::{Contestant, Kind};
use crate::measurement::Quantity;
use crate::report::number;
use crate::results::Results;
use crate::scenarios::Scenario;

/// What a value is held against.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// The value of another contestant in the same run, and so much more.
    NotAbove(Kind, f64),
    /// At most the value of another contestant in the same run, times this.
    Times(Kind, f64),
    /// At most the value of whichever of nginx and HAProxy is the better one in the same run, times this.
    TimesBetter(f64),
    /// At least that, times this.
    ShareOfBetter(f64),
    /// The same contestant's value in another scenario.
    SameAsIn(Scenario),
}

use Bound::{AtLeast, AtMost, NotAbove, SameAsIn, ShareOfBetter, Times, TimesBetter};
use Quantity as Q;
use Scenario as S;

const GOALS: &[(Scenario, Quantity, Bound)] = &[
    (S::S1, Q::P50, NotAbove(Kind::Haproxy, 0.01)),
    (S::S1, Q::P99, NotAbove(Kind::Nginx, 0.0)),
    (S::S1Open, Q::Share, AtLeast(100.0)),
    (S::S1Open, Q::P50, TimesBetter(1.25)),
    (S::S1Open, Q::P99, TimesBetter(1.25)),
    (S::S2, Q::CpuPerThousand, TimesBetter(1.25)),
    (S::S2, Q::Rate, ShareOfBetter(0.9)),
    (S::S2, Q::Rss, AtMost(15.0)),
    (S::S2H2, Q::CpuPerThousand, TimesBetter(1.25)),
    (S::S2H2, Q::Rate, ShareOfBetter(0.9)),
    (S::S2Open, Q::Share, AtLeast(100.0)),
    (S::S2Open, Q::P50, TimesBetter(1.25)),
    (S::S2Open, Q::P99, TimesBetter(1.25)),
    (S::S3, Q::Share, AtLeast(100.0)),
    (S::S3, Q::P99, NotAbove(Kind::Nginx, 0.0)),
    (S::S3, Q::RssPerStream, AtMost(18.0)),
    (S::S3, Q::Threads, SameAsIn(S::S1)),
    (S::S3H2, Q::Share, AtLeast(100.0)),
    (S::S3H2, Q::RssPerStream, AtMost(10.0)),
    (S::S4, Q::CpuPerGigabyte, NotAbove(Kind::Nginx, 0.0)),
    (S::S5, Q::CpuPerGigabyte, NotAbove(Kind::Nginx, 0.0)),
    (S::S5, Q::Rss, AtMost(20.0)),
    (S::S6Flowing, Q::Share, AtLeast(100.0)),
    (S::S6Flowing, Q::P50, AtMost(1.0)),
    (S::S6Flowing, Q::Max, AtMost(5.0)),
    (S::S6Silent, Q::Share, AtLeast(100.0)),
    (S::S6Silent, Q::P50, AtMost(1.0)),
    (S::S6Silent, Q::Max, AtMost(5.0)),
    (S::S7, Q::P50, AtMost(7.0)),
    (S::S7, Q::IdleRss, AtMost(10.0)),
    (S::S7, Q::Binary, AtMost(12.0)),
    (S::S8, Q::Share, AtLeast(100.0)),
    (S::S8, Q::Max, AtMost(20.0)),
    (S::S8, Q::Connections, AtMost(8.0)),
    (S::S9, Q::P50, Times(Kind::Direct, 1.5)),
    (S::S9Loss, Q::P50, Times(Kind::Direct, 1.5)),
    (S::S9Streams, Q::Share, AtLeast(100.0)),
    (S::S9StreamsLoss, Q::Share, AtLeast(100.0)),
    (S::S10, Q::Share, AtLeast(100.0)),
    (S::S10, Q::Rss, AtMost(64.0)),
    (S::S10, Q::P99, AtMost(5.0)),
    (S::S10H2, Q::Share, AtLeast(100.0)),
    (S::S10H2, Q::Rss, AtMost(64.0)),
    (S::S10H2, Q::P99, AtMost(5.0)),
    (S::S11, Q::RssDrift, AtMost(1.0)),
    (S::S11, Q::DescriptorDrift, AtMost(0.0)),
    (S::S11, Q::ThreadDrift, AtMost(0.0)),
];

impl Bound {
    /// In words, with what it comes to in this run if that is known.
    fn describe(self, limit: Option<f64>) -> String {
        let limit = limit.map_or_else(|| "?".to_owned(), number);
        let better = "the better of nginx and HAProxy";
        match self {
            AtMost(_) => format!("<= {limit}"),
            AtLeast(_) => format!(">= {limit}"),
            NotAbove(kind, 0.0) => format!("<= {kind}'s {limit}"),
            NotAbove(kind, more) => format!("<= {limit}, {kind}'s + {}", number(more)),
            Times(kind, times) => format!("<= {limit}, {kind}'s x {}", number(times)),
            TimesBetter(times) => format!("<= {limit}, {better} x {}", number(times)),
            ShareOfBetter(times) => format!(">= {limit}, {better} x {}", number(times)),
            SameAsIn(scenario) => format!("<= as in {scenario}"),
        }
    }

    /// What it comes to in this run; `None` where who it is held against was not played.
    fn limit(self, results: &Results, goal: (Scenario, Quantity), label: &str) -> Option<f64> {
        let (scenario, quantity) = goal;
        let of = |kind: Kind| results.median(scenario, &kind.to_string(), quantity);
        // With one of them alone nobody knows which is the better one.
        let both = || of(Kind::Nginx).zip(of(Kind::Haproxy));
        match self {
            AtMost(limit) | AtLeast(limit) => Some(limit),
            NotAbove(kind, more) => Some(of(kind)? + more),
            Times(kind, times) => Some(of(kind)? * times),
            TimesBetter(times) => both().map(|(nginx, haproxy)| nginx.min(haproxy) * times),
            ShareOfBetter(times) => both().map(|(nginx, haproxy)| nginx.max(haproxy) * times),
            SameAsIn(scenario) => results.median(scenario, label, quantity),
        }
    }

    fn is_met(self, value: f64, limit: f64) -> bool {
        match self {
            AtMost(_) | NotAbove(..) | Times(..) | TimesBetter(_) | SameAsIn(_) => value <= limit,
            AtLeast(_) | ShareOfBetter(_) => value >= limit,
        }
    }
}

/// The goals of the scenarios that were played, with each build of ours; empty without any.
pub(crate) fn table(results: &Results, contestants: &[Contestant]) -> String {
    let ours: Vec<&str> = contestants
        .iter()
        .filter(|contestant| contestant.kind == Kind::Ours)
        .map(|contestant| contestant.label.as_str())
        .collect();
    let Some(first) = ours.first() else {
        return String::new();
    };
    let mut text = format!(
        "## Goals\n\n| | | goal | {} |\n|---|---|---|{}\n",
        ours.join(" | "),
        "---|".repeat(ours.len())
    );
    for &(scenario, quantity, bound) in GOALS {
        if !results.has(scenario) {
            continue;
        }
        let heading = quantity.heading();
        let limit = bound.limit(results, (scenario, quantity), first);
        let bound_text = bound.describe(limit);
        text.push_str(&format!("| {scenario} | {heading} | {bound_text} |"));
        for label in &ours {
            let limit = bound.limit(results, (scenario, quantity), label);
            let value = results.median(scenario, label, quantity);
            text.push_str(&format!(" {} |", verdict(bound, value, limit)));
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

fn verdict(bound: Bound, value: Option<f64>, limit: Option<f64>) -> String {
    match (value, limit) {
        (None, _) => "**missed**: not measured".to_owned(),
        (Some(value), None) => format!("{}, nothing to compare with", number(value)),
        (Some(value), Some(limit)) if bound.is_met(value, limit) => {
            format!("{} met", number(value))
        }
        (Some(value), Some(0.0)) => format!("{} **missed**", number(value)),
        (Some(value), Some(limit)) => {
            format!("{} **missed**, x {}", number(value), number(value / limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Measurement;

    #[test]
    fn both_have_to_be_there_to_know_who_is_better() {
        let goal = (Scenario::S2, Quantity::CpuPerThousand);
        let mut results = Results::default();
        let mut add = |kind: Kind, value| {
            let measurement = Measurement::default().with(goal.1, value);
            let one = Contestant {
                kind,
                label: kind.to_string(),
                ..Contestant::direct()
            };
            results.add(goal.0, &one, measurement);
            TimesBetter(1.25).limit(&results, goal, "ours")
        };
        assert_eq!(add(Kind::Ours, 3.0), None);
        assert_eq!(add(Kind::Nginx, 2.0), None);
        assert_eq!(add(Kind::Haproxy, 1.0), Some(1.25));
        let rate = ShareOfBetter(0.9).limit(&results, goal, "ours");
        assert_eq!(rate, Some(1.8));
    }

    #[test]
    fn a_goal_is_met_missed_or_not_judged() {
        assert_eq!(verdict(AtMost(7.0), Some(7.0), Some(7.0)), "7 met");
        assert_eq!(
            verdict(AtMost(7.0), Some(14.0), Some(7.0)),
            "14 **missed**, x 2"
        );
        assert_eq!(
            verdict(AtLeast(100.0), Some(50.0), Some(100.0)),
            "50 **missed**, x 0.50"
        );
        let no_nginx = verdict(NotAbove(Kind::Nginx, 0.0), Some(1.0), None);
        assert_eq!(no_nginx, "1, nothing to compare with");
        assert_eq!(
            verdict(AtMost(7.0), None, Some(7.0)),
            "**missed**: not measured"
        );
    }
}

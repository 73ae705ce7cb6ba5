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
    /// The value of another contestant in the same run, times this.
    ShareOf(Kind, f64),
    /// The same contestant's value in another scenario.
    SameAsIn(Scenario),
}

use Bound::{AtLeast, AtMost, NotAbove, SameAsIn, ShareOf};

const GOALS: &[(Scenario, Quantity, Bound)] = &[
    (Scenario::S1, Quantity::P50, NotAbove(Kind::Direct, 0.1)),
    (Scenario::S1, Quantity::P99, NotAbove(Kind::Nginx, 0.0)),
    (
        Scenario::S2,
        Quantity::CpuPerThousand,
        NotAbove(Kind::Nginx, 0.0),
    ),
    (Scenario::S2, Quantity::Rate, ShareOf(Kind::Nginx, 0.95)),
    (Scenario::S2, Quantity::Rss, AtMost(15.0)),
    (Scenario::S3, Quantity::Share, AtLeast(100.0)),
    (Scenario::S3, Quantity::P99, NotAbove(Kind::Nginx, 0.0)),
    (Scenario::S3, Quantity::RssPerStream, AtMost(18.0)),
    (Scenario::S3, Quantity::Threads, SameAsIn(Scenario::S1)),
    (
        Scenario::S4,
        Quantity::CpuPerGigabyte,
        NotAbove(Kind::Nginx, 0.0),
    ),
    (Scenario::S5, Quantity::CpuPerGigabyte, AtMost(0.75)),
    (Scenario::S5, Quantity::Rss, AtMost(20.0)),
    (Scenario::S6Flowing, Quantity::Share, AtLeast(100.0)),
    (Scenario::S6Flowing, Quantity::P50, AtMost(1.0)),
    (Scenario::S6Flowing, Quantity::Max, AtMost(5.0)),
    (Scenario::S6Silent, Quantity::Share, AtLeast(100.0)),
    (Scenario::S6Silent, Quantity::P50, AtMost(1.0)),
    (Scenario::S6Silent, Quantity::Max, AtMost(5.0)),
    (Scenario::S7, Quantity::P50, AtMost(7.0)),
    (Scenario::S7, Quantity::IdleRss, AtMost(10.0)),
    (Scenario::S7, Quantity::Binary, AtMost(8.0)),
    (Scenario::S8, Quantity::Share, AtLeast(100.0)),
    (Scenario::S8, Quantity::Max, AtMost(20.0)),
    (Scenario::S8, Quantity::Connections, AtMost(8.0)),
];

impl Bound {
    /// In words, with what it comes to in this run if that is known.
    fn describe(self, limit: Option<f64>) -> String {
        let limit = limit.map_or_else(|| "?".to_owned(), number);
        match self {
            AtMost(_) => format!("<= {limit}"),
            AtLeast(_) => format!(">= {limit}"),
            NotAbove(kind, 0.0) => format!("<= {kind}'s {limit}"),
            NotAbove(kind, more) => format!("<= {limit}, {kind}'s + {}", number(more)),
            ShareOf(kind, times) => format!(">= {limit}, {kind}'s x {}", number(times)),
            SameAsIn(scenario) => format!("<= as in {scenario}"),
        }
    }

    fn limit(self, results: &Results, goal: (Scenario, Quantity), label: &str) -> Option<f64> {
        let (scenario, quantity) = goal;
        let of = |kind: Kind| results.median(scenario, &kind.to_string(), quantity);
        match self {
            AtMost(limit) | AtLeast(limit) => Some(limit),
            NotAbove(kind, more) => Some(of(kind)? + more),
            ShareOf(kind, times) => Some(of(kind)? * times),
            SameAsIn(scenario) => results.median(scenario, label, quantity),
        }
    }

    fn is_met(self, value: f64, limit: f64) -> bool {
        match self {
            AtMost(_) | NotAbove(..) | SameAsIn(_) => value <= limit,
            AtLeast(_) | ShareOf(..) => value >= limit,
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
        (Some(value), Some(limit)) => {
            format!("{} **missed**, x {}", number(value), number(value / limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

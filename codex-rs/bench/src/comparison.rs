//! Two builds compared, for whoever has to decide whether one may take the place of the other.

use crate::measurement::{Better, Quantity};
use crate::rank_sum::p_value;
use crate::report::number;
use crate::results::Results;
use crate::scenarios::Scenario;
use crate::statistics::Spread;

/// How likely it may be that a run of the same build twice finds any difference.
const SIGNIFICANCE: f64 = 0.05;

/// One figure of both builds.
struct Line {
    scenario: Scenario,
    quantity: Quantity,
    before: Spread,
    after: Spread,
    /// By how many percent the median has grown.
    change: f64,
    /// By chance, as if this were the only figure.
    p: f64,
    finding: Finding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Better,
    Worse,
    /// Nothing that could not be chance, or less than matters.
    Same,
}

/// What the comparison came to.
pub(crate) struct Verdict {
    before: String,
    after: String,
    tolerance: f64,
    lines: Vec<Line>,
    /// Scenarios that one of the two did not come through.
    failed: Vec<String>,
    /// There were enough rounds for a difference to be told from chance.
    is_sharp: bool,
}

impl Verdict {
    /// Of two builds by their labels. A median that differs by less than `tolerance` percent counts as the same.
    pub(crate) fn of(results: &Results, before: &str, after: &str, tolerance: f64) -> Self {
        let mut lines = Vec::new();
        let mut failed = Vec::new();
        let mut least_p = 1.0_f64;
        for scenario in Scenario::ALL {
            if let Some(why) = results.fault(scenario, after) {
                failed.push(format!("{scenario}: {after}: {why}"));
            }
            for quantity in results.quantities(scenario) {
                let values = |label| results.values(scenario, label, quantity);
                let (a, b) = (values(before), values(after));
                let Some((before, after)) = Spread::of(&a).zip(Spread::of(&b)) else {
                    continue;
                };
                if quantity.better().is_none() || a.len() < 2 || b.len() < 2 {
                    continue;
                }
                least_p = least_p.min(least(a.len(), b.len()));
                lines.push(Line {
                    scenario,
                    quantity,
                    before,
                    after,
                    change: change(before.median, after.median),
                    p: p_value(&a, &b),
                    finding: Finding::Same,
                });
            }
        }
        let mut verdict = Self {
            before: before.to_owned(),
            after: after.to_owned(),
            tolerance,
            is_sharp: !lines.is_empty() && least_p * size(lines.len()) <= SIGNIFICANCE,
            lines,
            failed,
        };
        verdict.judge();
        verdict
    }

    /// What is significant among so many figures (Holm 1979): the least p-value has to be below the level divided
    /// by the number of figures, the next one by one less, and so on until one is not.
    fn judge(&mut self) {
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        let p = |at: &usize| self.lines.get(*at).map_or(1.0, |line| line.p);
        order.sort_by(|a, b| p(a).total_cmp(&p(b)));
        let count = order.len();
        for (place, at) in order.into_iter().enumerate() {
            let Some(line) = self.lines.get_mut(at) else {
                return;
            };
            if line.p * size(count - place) > SIGNIFICANCE {
                return;
            }
            if line.change.abs() >= self.tolerance {
                let is_more = line.change > 0.0;
                let wants_more = line.quantity.better() == Some(Better::More);
                line.finding = if is_more == wants_more {
                    Finding::Better
                } else {
                    Finding::Worse
                };
            }
        }
    }

    /// Whether the second build is worse by any figure, or did not come through.
    pub(crate) fn is_worse(&self) -> bool {
        !self.failed.is_empty() || self.lines.iter().any(|line| line.finding == Finding::Worse)
    }

    /// As a section of the report.
    pub(crate) fn table(&self) -> String {
        let Self { before, after, .. } = self;
        let has = |finding| self.lines.iter().any(|line| line.finding == finding);
        let in_short = match (self.is_worse(), has(Finding::Better)) {
            (true, true) => {
                format!("{after} is worse than {before} in some respects, better in others")
            }
            (true, false) => format!("{after} is worse than {before}"),
            (false, true) => format!("{after} is better than {before}"),
            (false, false) => format!("no difference between {after} and {before} is shown"),
        };
        let mut text = format!("## Verdict: {in_short}\n\n");
        text.push_str(&format!(
            "A figure counts as different where its median differs by {} % or more and the rank-sum test says that \
             this is not chance, at a level of {} for all figures together (Holm). p is of one figure alone.\n\n",
            number(self.tolerance),
            SIGNIFICANCE
        ));
        if !self.is_sharp {
            text.push_str(
                "**Too few rounds**: with so many figures no difference could be told from chance, however large. \
                 Play more rounds (--rounds), or fewer scenarios (--only).\n\n",
            );
        }
        for fault in &self.failed {
            text.push_str(&format!("**Failed**: {}\n\n", fault.replace('\n', " ")));
        }
        text.push_str(&format!(
            "| | | {before} | {after} | change % | p | |\n|---|---|--:|--:|--:|--:|---|\n"
        ));
        for line in &self.lines {
            let cell = |spread: Spread| {
                let [median, least, most] = [spread.median, spread.least, spread.most].map(number);
                format!("{median} ({least}-{most})")
            };
            let finding = match line.finding {
                Finding::Better => "better",
                Finding::Worse => "**worse**",
                Finding::Same => "",
            };
            text.push_str(&format!(
                "| {} | {} | {} | {} | {:+.1} | {:.4} | {finding} |\n",
                line.scenario,
                line.quantity.heading(),
                cell(line.before),
                cell(line.after),
                line.change,
                line.p
            ));
        }
        text.push('\n');
        text
    }
}

/// By how many percent `after` is more than `before`.
fn change(before: f64, after: f64) -> f64 {
    if before == after {
        return 0.0;
    }
    (after / before - 1.0) * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "dozens")]
fn size(count: usize) -> f64 {
    count as f64
}

/// The least p-value that samples of these sizes can have: one way on either side.
fn least(a: usize, b: usize) -> f64 {
    let (a, b): (Vec<f64>, Vec<f64>) = ((0..a).map(size).collect(), (a..a + b).map(size).collect());
    p_value(&a, &b)
}

#[cfg(test)]
mod tests;

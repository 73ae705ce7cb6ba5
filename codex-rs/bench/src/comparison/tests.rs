use super::*;
use crate::contestant::{Contestant, Kind};
use crate::measurement::Measurement;

/// Ten rounds of two builds: what they measured around these values, with a spread of 2 %.
fn results(figures: &[(Quantity, f64, f64)], rounds: u32) -> Results {
    let mut results = Results::default();
    for round in 0..rounds {
        let noise = 1.0 + f64::from(round * 7 % 10) / 500.0;
        for (label, is_after) in [("before", false), ("after", true)] {
            let one = Contestant {
                kind: Kind::Ours,
                label: label.to_owned(),
                ..Contestant::direct()
            };
            let mut measurement = Measurement::default();
            for &(quantity, before, after) in figures {
                let value = if is_after { after } else { before };
                measurement = measurement.with(quantity, value * noise);
            }
            results.add(Scenario::S2, &one, measurement);
        }
    }
    results
}

fn verdict(results: &Results) -> Verdict {
    Verdict::of(results, "before", "after", 3.0)
}

#[test]
fn a_slower_build_is_worse_and_a_faster_one_better() {
    let cpu = Quantity::CpuPerThousand;
    let worse = verdict(&results(
        &[(cpu, 0.10, 0.12), (Quantity::Rss, 9.0, 9.0)],
        10,
    ));
    assert!(worse.is_worse());
    let text = worse.table();
    assert!(
        text.contains("## Verdict: after is worse than before"),
        "{text}"
    );
    assert!(text.contains("+20.0"), "{text}");

    let better = verdict(&results(&[(cpu, 0.12, 0.10)], 10));
    assert!(!better.is_worse());
    assert!(better.table().contains("after is better than before"));

    // Of requests in a second more are better.
    assert!(verdict(&results(&[(Quantity::Rate, 5000.0, 4000.0)], 10)).is_worse());
    assert!(!verdict(&results(&[(Quantity::Rate, 4000.0, 5000.0)], 10)).is_worse());
}

#[test]
fn the_same_build_and_one_that_differs_by_less_than_matters_are_the_same() {
    for after in [0.10, 0.102] {
        let same = verdict(&results(&[(Quantity::CpuPerThousand, 0.10, after)], 10));
        assert!(!same.is_worse());
        let text = same.table();
        assert!(text.contains("no difference between after and before is shown"));
        assert!(!text.contains("Too few rounds"));
    }
}

#[test]
fn too_few_rounds_say_so() {
    let few = verdict(&results(&[(Quantity::CpuPerThousand, 0.10, 0.20)], 3));
    assert!(!few.is_worse());
    assert!(few.table().contains("**Too few rounds**"));
}

#[test]
fn a_build_that_fails_is_worse() {
    let mut results = results(&[(Quantity::Rate, 1.0, 1.0)], 10);
    let after = Contestant {
        label: "after".to_owned(),
        ..Contestant::direct()
    };
    results.fail(Scenario::S4, &after, "status 502".to_owned());
    let verdict = verdict(&results);
    assert!(verdict.is_worse());
    assert!(
        verdict
            .table()
            .contains("**Failed**: S4: after: status 502")
    );
}

//! The results as Markdown.

use crate::contestant::{Contestant, Kind};
use crate::measurement::Quantity;
use crate::results::Results;
use crate::scenarios::Scenario;
use crate::statistics::Spread;

/// What was measured and by which command, which only the script that built it knows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Made {
    /// For the report: the commit that our program was built from
    #[arg(long, value_name = "TEXT")]
    commit: Option<String>,
    /// For the report: the compiler it was built by
    #[arg(long, value_name = "TEXT")]
    rustc: Option<String>,
    /// For the report: the command line that it can be made again by
    #[arg(long, value_name = "TEXT")]
    command: Option<String>,
}

/// Who played, where and how.
pub(crate) fn setting(contestants: &[Contestant], rounds: usize, how: &str, made: &Made) -> String {
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "not said".to_owned());
    let mut text = format!(
        "| | |\n|---|---|\n| command | `{}` |\n| commit | {} |\n| compiler | {} |\n| machine | {} |\n\
         | rounds | {rounds}, interleaved{how} |\n\n\
         Where there are three figures, the first is the median of the rounds and the others are the least \
         and the most.\n\n| | version |\n|---|---|\n",
        said(&made.command),
        said(&made.commit),
        said(&made.rustc),
        crate::machine::describe()
    );
    for contestant in contestants {
        text.push_str(&format!(
            "| {} | {} |\n",
            contestant.label, contestant.version
        ));
    }
    text.push('\n');
    text
}

/// One table for each scenario that was played.
pub(crate) fn tables(results: &Results, contestants: &[Contestant]) -> String {
    let played = Scenario::ALL
        .into_iter()
        .filter(|scenario| results.has(*scenario));
    played
        .map(|scenario| table(results, contestants, scenario))
        .collect()
}

fn table(results: &Results, contestants: &[Contestant], scenario: Scenario) -> String {
    let (name, about) = scenario.about();
    let quantities = results.quantities(scenario);
    let mut text = format!("## {name}\n\n{about}.\n\n| | upstream |");
    let mut rule = "|---|---|".to_owned();
    let mut column = |heading: &str| {
        text.push_str(&format!(" {heading} |"));
        rule.push_str("--:|");
    };
    for quantity in &quantities {
        column(quantity.heading());
        if let Some((heading, _)) = beside(results, scenario, *quantity) {
            column(heading);
        }
    }
    text.push_str(&format!("\n{rule}\n"));
    let played = contestants.iter().filter(|contestant| {
        let label = &contestant.label;
        !results.rounds(scenario, label).is_empty() || results.fault(scenario, label).is_some()
    });
    for contestant in played {
        text.push_str(&row(results, scenario, contestant, &quantities));
        text.push('\n');
    }
    text.push('\n');
    text
}

fn row(
    results: &Results,
    scenario: Scenario,
    contestant: &Contestant,
    quantities: &[Quantity],
) -> String {
    let label = &contestant.label;
    let rounds = results.rounds(scenario, label);
    let mut row = format!("| {label} |");
    let Some(round) = rounds.first() else {
        let why = results.fault(scenario, label).unwrap_or("not played");
        row.push_str(&format!(" failed: {} |", why.replace(['|', '\n'], " ")));
        return row;
    };
    row.push_str(&format!(" {} |", round.upstream));
    for &quantity in quantities {
        let spread = results.spread(scenario, label, quantity);
        let cell = spread.map_or_else(|| "-".to_owned(), |spread| cell(spread, rounds.len()));
        row.push_str(&format!(" {cell} |"));
        if let Some((_, relation)) = beside(results, scenario, quantity) {
            let relation = spread.map(|spread| number(relation(spread.median)));
            row.push_str(&format!(
                " {} |",
                relation.unwrap_or_else(|| "-".to_owned())
            ));
        }
    }
    if let Some(why) = results.fault(scenario, label) {
        row.push_str(&format!(
            " one round failed: {} |",
            why.replace(['|', '\n'], " ")
        ));
    }
    row
}

/// The column that sets a quantity in relation to no proxy, and how; none if that was not played.
fn beside(
    results: &Results,
    scenario: Scenario,
    quantity: Quantity,
) -> Option<(&'static str, impl Fn(f64) -> f64)> {
    let (heading, relation) = quantity.beside_direct()?;
    let direct = results.median(scenario, &Kind::Direct.to_string(), quantity)?;
    Some((heading, move |value| relation(value, direct)))
}

fn cell(spread: Spread, rounds: usize) -> String {
    let (least, median, most) = (
        number(spread.least),
        number(spread.median),
        number(spread.most),
    );
    if rounds == 1 || least == most {
        median
    } else {
        format!("**{median}** ({least}-{most})")
    }
}

/// A number with the digits that mean something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => {
            let whole = format!("{value:.0}");
            match whole
                .len()
                .checked_sub(3)
                .and_then(|at| whole.split_at_checked(at))
            {
                Some((thousands, rest)) => format!("{thousands},{rest}"),
                None => whole,
            }
        }
        size if size.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_mean_something() {
        for (value, text) in [
            (0.0, "0"),
            (0.01234, "0.012"),
            (0.25, "0.25"),
            (12.345, "12.3"),
            (123.45, "123"),
            (2.0, "2"),
            (1000.0, "1,000"),
            (1234.5, "1,234"),
            (10007.0, "10,007"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}

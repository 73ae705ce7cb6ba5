//! All measurements of a run.

use std::collections::BTreeMap;

use crate::contestant::Contestant;
use crate::measurement::{Measurement, Quantity};
use crate::scenarios::Scenario;
use crate::statistics::Spread;

/// Measurements by scenario and contestant, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Results {
    measured: BTreeMap<(Scenario, String), Vec<Measurement>>,
    faults: BTreeMap<(Scenario, String), String>,
}

impl Results {
    pub(crate) fn add(
        &mut self,
        scenario: Scenario,
        contestant: &Contestant,
        measurement: Measurement,
    ) {
        let key = (scenario, contestant.label.clone());
        self.measured.entry(key).or_default().push(measurement);
    }

    /// Remembers why there is no measurement.
    pub(crate) fn fail(&mut self, scenario: Scenario, contestant: &Contestant, why: String) {
        self.faults
            .insert((scenario, contestant.label.clone()), why);
    }

    /// The last thing that went wrong.
    pub(crate) fn fault(&self, scenario: Scenario, label: &str) -> Option<&str> {
        let key = (scenario, label.to_owned());
        self.faults.get(&key).map(String::as_str)
    }

    /// The rounds of one contestant in one scenario.
    pub(crate) fn rounds(&self, scenario: Scenario, label: &str) -> &[Measurement] {
        let key = (scenario, label.to_owned());
        self.measured.get(&key).map_or(&[], Vec::as_slice)
    }

    /// A quantity in each round.
    pub(crate) fn values(&self, scenario: Scenario, label: &str, quantity: Quantity) -> Vec<f64> {
        self.rounds(scenario, label)
            .iter()
            .flat_map(|round| &round.values)
            .filter(|(found, _)| *found == quantity)
            .map(|(_, value)| *value)
            .collect()
    }

    /// A quantity over the rounds.
    pub(crate) fn spread(
        &self,
        scenario: Scenario,
        label: &str,
        quantity: Quantity,
    ) -> Option<Spread> {
        Spread::of(&self.values(scenario, label, quantity))
    }

    /// The median of a quantity over the rounds.
    pub(crate) fn median(
        &self,
        scenario: Scenario,
        label: &str,
        quantity: Quantity,
    ) -> Option<f64> {
        Some(self.spread(scenario, label, quantity)?.median)
    }

    /// The quantities that anybody has in a scenario, in order.
    pub(crate) fn quantities(&self, scenario: Scenario) -> Vec<Quantity> {
        let rounds = self
            .measured
            .iter()
            .filter(|((found, _), _)| *found == scenario);
        let widest = rounds
            .flat_map(|(_, rounds)| rounds)
            .max_by_key(|round| round.values.len());
        let values = widest
            .map(|round| round.values.as_slice())
            .unwrap_or_default();
        values.iter().map(|(quantity, _)| *quantity).collect()
    }

    /// Whether there is anything of this scenario.
    pub(crate) fn has(&self, scenario: Scenario) -> bool {
        self.measured
            .keys()
            .chain(self.faults.keys())
            .any(|(found, _)| *found == scenario)
    }
}

//! Rates, and what tokens cost at them.

use crate::tokens::Tokens;

/// How many tokens a rate is for.
pub(crate) const PER: f64 = 1_000_000.0;

/// US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) input: f64,
    pub(crate) cached: f64,
    pub(crate) cache_write: f64,
    pub(crate) output: f64,
}

/// The rates for one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quote {
    pub(crate) rates: Rates,
    /// See [`Cost::estimated`](crate::Cost::estimated).
    pub(crate) estimated: bool,
}

impl Rates {
    /// What tokens cost whose parts fit into their wholes. Cached input is charged once, at its own rate, and
    /// reasoning as the output that it is a part of.
    pub(crate) fn usd(&self, tokens: &Tokens) -> f64 {
        let charge = |rate: f64, count: u64| rate * as_f64(count) / PER;
        // `check` has ruled the alternative out, which would be dearer and not cheaper.
        let uncached = tokens.uncached().unwrap_or(tokens.input);
        charge(self.cached, tokens.cached)
            + charge(self.cache_write, tokens.cache_write)
            + charge(self.input, uncached)
            + charge(self.output, tokens.output)
    }
}

/// Exact up to 2^53, which is more than anybody pays for.
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

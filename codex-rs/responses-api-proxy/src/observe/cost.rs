//! What a request cost, as far as prices are known.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use codex_pricing::{PriceError, Prices, Tokens};

use crate::observe::finished::Finished;
use crate::observe::printable::printable_within;
use crate::observe::stderr;

/// Of how many models it is said that they have no price.
const MODELS_SAID: usize = 16;

/// In US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) usd: f64,
    /// Not by the usage that the upstream reported, or not by the price of its service tier.
    pub(crate) is_estimated: bool,
}

/// Prices that can be replaced while they are in use; none until they are needed. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PriceList(Arc<RwLock<Option<Arc<Prices>>>>);

impl PriceList {
    /// Goes by these prices from now on.
    pub(crate) fn replace(&self, prices: Prices) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(prices));
    }

    /// As [`Prices::cost`].
    ///
    /// # Errors
    ///
    /// As there; without prices every model is unknown.
    pub(crate) fn cost(
        &self,
        model: &str,
        service_tier: Option<&str>,
        tokens: &Tokens,
        at: SystemTime,
    ) -> Result<codex_pricing::Cost, PriceError> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let prices = current.clone();
        drop(current);
        prices
            .ok_or(PriceError::UnknownModel)?
            .cost(model, service_tier, tokens, at)
    }
}

/// What requests cost.
#[derive(Debug)]
pub(crate) struct Costs {
    prices: Prices,
    /// Models of which it was said that they have no price.
    said: BTreeSet<String>,
}

impl Costs {
    pub(crate) fn new(prices: Prices) -> Self {
        Self {
            prices,
            said: BTreeSet::new(),
        }
    }

    /// By the model and the service tier that the answer names; for an answer that was cut, what its caller was charged.
    /// `None` if it does not say what was used, or if nobody
    /// knows the price; that is said once of each model.
    pub(crate) fn of(&mut self, finished: &Finished) -> Option<Cost> {
        if let Some(nano_usd) = finished.estimated_nano_usd {
            return Some(Cost {
                usd: nano_usd as f64 / 1e9,
                is_estimated: true,
            });
        }
        let answer = finished.answer.as_ref()?;
        let (usage, model) = (answer.usage?, answer.model.as_deref()?);
        let tokens = Tokens {
            input: usage.input,
            cached: usage.cached,
            output: usage.output,
            cache_write: usage.cache_write,
            reasoning: usage.reasoning,
        };
        let tier = answer.service_tier.as_deref();
        match self.prices.cost(model, tier, &tokens, finished.at) {
            Ok(cost) => Some(Cost {
                usd: cost.usd,
                is_estimated: cost.estimated,
            }),
            Err(PriceError::UnknownModel) => {
                self.say_unknown(model);
                None
            }
            Err(_) => None,
        }
    }

    fn say_unknown(&mut self, model: &str) {
        if self.said.len() < MODELS_SAID && self.said.insert(model.to_owned()) {
            let model = printable_within(model, 60);
            stderr::line(format_args!(
                "the price of {model} is not known: its requests have no cost (give one with --prices)"
            ));
        }
    }
}

//! What an answer of the Responses API cost, in US dollars.
//!
//! Prices are OpenAI's list prices, as the crate `genai-prices` bundles them: rates for input, cached input,
//! cache writes and output, by model, service tier, date and length of the input. An [`Overlay`] adds models
//! that the list lacks and overrides those that it has. Only tokens are charged here; what tools cost on top,
//! such as web searches, is not in an answer's usage.
//!
//! A model without a price is an error and never free. A price that may not be the one that was charged, as
//! that of a tier of which only the name is known, is marked in [`Cost::estimated`].
#![forbid(unsafe_code)]

mod catalogue;
mod error;
mod overlay;
mod quote_cache;
mod rates;
mod snapshot;
mod tier;
mod tokens;

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use crate::catalogue::Catalogue;
pub use crate::error::PriceError;
pub use crate::overlay::{Overlay, OverlayError};
use crate::quote_cache::QuoteCache;
use crate::rates::Quote;
use crate::tier::Tier;
pub use crate::tokens::Tokens;

/// What one answer cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// US dollars: finite, and 0 or more.
    pub usd: f64,
    /// Whether something else may have been charged. The answer names a service tier that has no known price
    /// for this model on this day, or `auto`, which is not a tier, and `usd` is by the standard price; or it
    /// names a newer snapshot of a model than the list has, and `usd` is by the model's price.
    pub estimated: bool,
}

/// The prices of models. Share it in an [`Arc`](std::sync::Arc): each has a cache of its own.
#[derive(Debug)]
pub struct Prices {
    catalogue: Catalogue,
    overlay: Overlay,
    quotes: QuoteCache,
}

impl Prices {
    /// OpenAI's list prices as of the release of `genai-prices` that this was built with.
    ///
    /// The first call in a process decodes the list, which takes milliseconds and stays in memory for as long as the
    /// process lives. So call this only where something needs prices, and before serving.
    #[must_use]
    pub fn bundled() -> Self {
        Self {
            catalogue: Catalogue::bundled(),
            overlay: Overlay::default(),
            quotes: QuoteCache::default(),
        }
    }

    /// Lets an overlay override the bundled prices. A second overlay replaces the first.
    #[must_use]
    pub fn with_overlay(mut self, overlay: Overlay) -> Self {
        self.overlay = overlay;
        self
    }

    /// What an answer cost at the rates that were in force at `at`.
    ///
    /// `model` and `service_tier` are those that the answer names, which are what is charged: a request for
    /// `priority` may be served as `default`. A dated snapshot such as `gpt-5-2025-08-07` has the price of its
    /// model, as an estimate if neither the list nor the overlay knows of it, unless it has one of its own.
    /// Without a tier, and for `default` and `standard`, the standard price is charged.
    ///
    /// # Errors
    ///
    /// [`PriceError`]: no price for the model, or counts that contradict each other.
    pub fn cost(
        &self,
        model: &str,
        service_tier: Option<&str>,
        tokens: &Tokens,
        at: SystemTime,
    ) -> Result<Cost, PriceError> {
        tokens.check()?;
        let tier = Tier::new(service_tier);
        let quote = match self.overlay.quote(model, tier) {
            Some(quote) => quote,
            None => self.listed_quote(model, tier, tokens.input, at)?,
        };
        Ok(Cost {
            usd: quote.rates.usd(tokens),
            estimated: quote.estimated,
        })
    }

    fn listed_quote(
        &self,
        model: &str,
        tier: Tier<'_>,
        input: u64,
        at: SystemTime,
    ) -> Result<Quote, PriceError> {
        if let Some(found) = self.quotes.get(model, tier, input, at) {
            return found;
        }
        let found = self.catalogue.quote(model, tier, input, at);
        self.quotes.insert(model, tier, input, at, found);
        found
    }
}

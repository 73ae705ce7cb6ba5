//! The bundled price list, and the rates in it.
//!
//! `genai-prices` computes prices and does not show rates, nor whether a service tier has any. Both are found
//! by asking it for the price of tokens of one kind. This takes several of its calculations, at 2 to 4
//! microseconds each; so its answers are kept, and see [`QuoteCache`](crate::quote_cache::QuoteCache) for how
//! long.

use std::sync::LazyLock;
use std::time::SystemTime;

use genai_prices::{Calculator, ErrorKind, PriceRequest, Usage, UsageKey};

use crate::error::PriceError;
use crate::rates::{PER, Quote, Rates, as_f64};
use crate::snapshot::without_date;
use crate::tier::Tier;

/// Whose prices they are. Other providers have models of the same names at other prices: the overlay is
/// for them.
const PROVIDER: &str = "openai";

/// The longest input that is told from longer ones: up to here an `f64` has every whole number.
const LONGEST_INPUT: u64 = 1 << 53;

/// Rates are rounded to one part in this of a US dollar per million tokens, which is finer than any price in
/// the list. It removes the error of the division by which they are found, to the last bit.
const GRID: f64 = 1e9;

/// OpenAI's part of the list in `genai-prices`, which is a tenth of it; `scripts/price-list` writes it.
static OPENAI: LazyLock<Result<Calculator, ErrorKind>> = LazyLock::new(|| {
    Calculator::from_json(include_bytes!("openai.json")).map_err(|error| error.kind())
});

/// The bundled price list, or why it cannot be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Catalogue(Result<&'static Calculator, ErrorKind>);

impl Catalogue {
    /// Decodes the list, the first time.
    pub(crate) fn bundled() -> Self {
        Self(OPENAI.as_ref().map_err(|kind| *kind))
    }

    /// The rates for an answer to an input of so many tokens. A snapshot that the list does not have yet has
    /// the price of its model, as an estimate.
    pub(crate) fn quote(
        self,
        model: &str,
        tier: Tier<'_>,
        input: u64,
        at: SystemTime,
    ) -> Result<Quote, PriceError> {
        let input = input.clamp(1, LONGEST_INPUT);
        match (self.listed(model, tier, input, at), without_date(model)) {
            (Err(PriceError::UnknownModel), Some(model)) => Ok(Quote {
                estimated: true,
                ..self.listed(model, tier, input, at)?
            }),
            (listed, _) => listed,
        }
    }

    fn listed(
        self,
        model: &str,
        tier: Tier<'_>,
        input: u64,
        at: SystemTime,
    ) -> Result<Quote, PriceError> {
        let standard = self.rates(model, None, input, at)?;
        Ok(match tier {
            Tier::Standard => Quote {
                rates: standard,
                estimated: false,
            },
            Tier::Auto => Quote {
                rates: standard,
                estimated: true,
            },
            // Where the list has no price for a tier it silently takes the standard one.
            Tier::Named(name) => {
                let rates = self.rates(model, Some(name), input, at)?;
                Quote {
                    rates,
                    estimated: rates == standard,
                }
            }
        })
    }

    fn rates(
        self,
        model: &str,
        tier: Option<&str>,
        input: u64,
        at: SystemTime,
    ) -> Result<Rates, PriceError> {
        let calculator = self.0.map_err(PriceError::Catalogue)?;
        let input = as_f64(input);
        let price = |usage: [(UsageKey, f64); 2]| {
            let usage = Usage::from(usage);
            let mut request = PriceRequest::new(model, &usage)
                .with_provider_id(PROVIDER)
                .with_timestamp(at);
            if let Some(tier) = tier {
                request = request.with_price_context("service_tier", tier);
            }
            calculator
                .calculate(&request)
                .map_err(|error| match error.kind() {
                    ErrorKind::ModelNotFound => PriceError::UnknownModel,
                    kind => PriceError::Catalogue(kind),
                })
        };
        let all = (UsageKey::INPUT_TOKENS, input);
        let uncached = price([all.clone(), (UsageKey::OUTPUT_TOKENS, 1.0)])?;
        let rates = Rates {
            input: rate(uncached.input_price, input),
            cached: rate(
                price([all.clone(), (UsageKey::CACHE_READ_TOKENS, input)])?.input_price,
                input,
            ),
            cache_write: rate(
                price([all, (UsageKey::CACHE_WRITE_TOKENS, input)])?.input_price,
                input,
            ),
            output: rate(uncached.output_price, 1.0),
        };
        // Models of speech, images or embeddings have prices for something else, and moderation has none.
        if rates.input > 0.0 && rates.output > 0.0 {
            Ok(rates)
        } else {
            Err(PriceError::UnknownModel)
        }
    }
}

/// The rate by which `count` tokens cost `usd`.
fn rate(usd: f64, count: f64) -> f64 {
    (usd * PER / count * GRID).round() / GRID
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// 2026-11-01.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_793_491_200)
    }

    proptest! {
        /// To the last bit: otherwise no quote could be kept for another length.
        #[test]
        fn rates_are_those_of_the_list(
            (tier, short, long) in select(vec![
                (Tier::Standard, [1.0, 0.1, 1.25, 6.0], [2.0, 0.2, 2.5, 9.0]),
                (Tier::Named("scale"), [1.0, 0.1, 1.25, 6.0], [2.0, 0.2, 2.5, 9.0]),
            ]),
            input in prop_oneof![0..300_000_u64, any::<u64>()],
        ) {
            // Before it became cheaper.
            let at = UNIX_EPOCH + Duration::from_secs(1_785_369_599);
            let quote = Catalogue::bundled().quote("gpt-5.6-luna", tier, input, at).unwrap();
            let rates = quote.rates;
            let found = [rates.input, rates.cached, rates.cache_write, rates.output];
            prop_assert_eq!(found, if input > 272_000 { long } else { short });
        }

        #[test]
        fn rates_of_a_tier_are_those_of_the_list(input in 1..u64::MAX) {
            let quote = Catalogue::bundled().quote("o4-mini", Tier::Named("flex"), input, now());
            let rates = Rates { input: 0.55, cached: 0.138, cache_write: 0.55, output: 2.2 };
            prop_assert_eq!(quote, Ok(Quote { rates, estimated: false }));
        }
    }
}

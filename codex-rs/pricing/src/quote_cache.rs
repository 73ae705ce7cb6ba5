//! Quotes that were given before, so that the bundled list need not be asked for each answer.
//!
//! A quote depends on the model, the tier, the time and the length of the input. Prices change at a full
//! minute at the earliest, so a quote is good for the minute of its answer. And they change in steps with the
//! length: where the quotes for two lengths are equal, and none between them is known to differ, all between
//! them are equal. The list has no price that goes back for a longer input to what it was for a shorter one,
//! with another in between; a test compares quotes from here with the list's own.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::PriceError;
use crate::rates::Quote;
use crate::tier::Tier;

/// How many pairs of model and tier are kept at most: the upstream chooses the names. Then all are dropped.
const MAX_ENTRIES: usize = 256;

/// How many bands an entry has at most. The list has two for a model with a long-context price.
const MAX_BANDS: usize = 8;

/// Longer names, in bytes, are not kept.
const MAX_NAME: usize = 256;

/// How long a quote is good.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// In minutes. What is kept of a later minute than this after an answer's is from a clock that was set back.
const LONGEST_ANSWER: u64 = 60;

/// Lengths of input, in tokens, that have the same quote.
#[derive(Clone, Copy, Debug)]
struct Band {
    shortest: u64,
    longest: u64,
    quote: Result<Quote, PriceError>,
}

/// What is known of a model and a tier.
#[derive(Debug)]
struct Entry {
    model: String,
    tier: String,
    /// Since the Unix epoch.
    minute: u64,
    /// By length, and without overlap.
    bands: Vec<Band>,
}

/// Quotes that were given before.
#[derive(Debug, Default)]
pub(crate) struct QuoteCache {
    /// By model and tier.
    entries: RwLock<Vec<Entry>>,
}

impl QuoteCache {
    /// The quote that the list would give, if it is known.
    pub(crate) fn get(
        &self,
        model: &str,
        tier: Tier<'_>,
        input: u64,
        at: SystemTime,
    ) -> Option<Result<Quote, PriceError>> {
        let minute = minute(at)?;
        // A panic elsewhere cannot leave an entry half changed.
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let place = find(&entries, model, tier).ok()?;
        let entry = entries.get(place).filter(|entry| entry.minute == minute)?;
        let band = entry.bands.iter().find(|band| input <= band.longest)?;
        (band.shortest <= input).then_some(band.quote)
    }

    /// Keeps what the list said. An answer to a request of an earlier minute, after one of a later minute, is
    /// not kept.
    pub(crate) fn insert(
        &self,
        model: &str,
        tier: Tier<'_>,
        input: u64,
        at: SystemTime,
        quote: Result<Quote, PriceError>,
    ) {
        let Some(minute) = minute(at) else { return };
        if model.len().max(tier.name().len()) > MAX_NAME {
            return;
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(place) = find(&entries, model, tier) {
            if let Some(entry) = entries.get_mut(place) {
                entry.learn(minute, input, quote);
            }
            return;
        }
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        let mut entry = Entry {
            model: model.to_owned(),
            tier: tier.name().to_owned(),
            minute,
            bands: Vec::new(),
        };
        entry.learn(minute, input, quote);
        let place = find(&entries, model, tier).unwrap_or_else(|place| place);
        entries.insert(place, entry);
    }
}

/// Where the entry is, or else where it belongs.
fn find(entries: &[Entry], model: &str, tier: Tier<'_>) -> Result<usize, usize> {
    entries.binary_search_by(|entry| {
        let name = (entry.model.as_str(), entry.tier.as_str());
        name.cmp(&(model, tier.name()))
    })
}

impl Entry {
    fn learn(&mut self, minute: u64, input: u64, quote: Result<Quote, PriceError>) {
        if self.minute < minute || self.minute - minute > LONGEST_ANSWER {
            self.minute = minute;
            self.bands.clear();
        } else if self.minute > minute {
            return;
        }
        let place = self.bands.partition_point(|band| band.longest < input);
        if let Some(below) = place
            .checked_sub(1)
            .and_then(|below| self.bands.get_mut(below))
            && below.quote == quote
        {
            below.longest = input;
            return;
        }
        if let Some(above) = self.bands.get_mut(place)
            && (above.quote == quote || above.shortest <= input)
        {
            above.shortest = above.shortest.min(input);
            return;
        }
        if self.bands.len() < MAX_BANDS {
            self.bands.insert(
                place,
                Band {
                    shortest: input,
                    longest: input,
                    quote,
                },
            );
        }
    }
}

/// Before 1970 there is no minute, and there was no price either.
fn minute(at: SystemTime) -> Option<u64> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs() / GOOD_FOR.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::Rates;

    const STANDARD: Tier<'_> = Tier::Standard;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn quote(rate: f64) -> Result<Quote, PriceError> {
        let rates = Rates {
            input: rate,
            cached: rate,
            cache_write: rate,
            output: rate,
        };
        Ok(Quote {
            rates,
            estimated: false,
        })
    }

    #[test]
    fn what_lies_between_equal_quotes_is_known() {
        let cache = QuoteCache::default();
        // The step is somewhere between 100 and 200.
        for (input, rate) in [(50, 1.0), (300, 2.0), (10, 1.0), (100, 1.0), (200, 2.0)] {
            cache.insert("m", STANDARD, input, at(0), quote(rate));
        }
        for (input, known) in [
            (9, None),
            (10, Some(quote(1.0))),
            (77, Some(quote(1.0))),
            (100, Some(quote(1.0))),
            (101, None),
            (199, None),
            (200, Some(quote(2.0))),
            (300, Some(quote(2.0))),
            (301, None),
        ] {
            assert_eq!(cache.get("m", STANDARD, input, at(0)), known, "{input}");
        }
    }

    #[test]
    fn a_quote_that_comes_back_does_not_cover_what_was_between() {
        let cache = QuoteCache::default();
        for (input, rate) in [(10, 1.0), (20, 1.0), (40, 2.0), (50, 1.0), (60, 1.0)] {
            cache.insert("m", STANDARD, input, at(0), quote(rate));
        }
        let known = |input| cache.get("m", STANDARD, input, at(0));
        for (input, expected) in [
            (15, Some(quote(1.0))),
            (30, None),
            (40, Some(quote(2.0))),
            (45, None),
            (55, Some(quote(1.0))),
        ] {
            assert_eq!(known(input), expected, "{input}");
        }
    }

    #[test]
    fn a_quote_is_for_its_model_tier_and_minute() {
        let cache = QuoteCache::default();
        cache.insert("m", STANDARD, 5, at(120), quote(1.0));
        cache.insert("m", Tier::Named("flex"), 5, at(120), quote(2.0));
        cache.insert(
            "unknown",
            STANDARD,
            5,
            at(120),
            Err(PriceError::UnknownModel),
        );
        let known = |model, tier, seconds| cache.get(model, tier, 5, at(seconds));
        assert_eq!(known("m", STANDARD, 179), Some(quote(1.0)));
        assert_eq!(known("m", Tier::Named("flex"), 120), Some(quote(2.0)));
        assert_eq!(
            known("unknown", STANDARD, 120),
            Some(Err(PriceError::UnknownModel))
        );
        assert_eq!(known("m", Tier::Auto, 120), None);
        assert_eq!(known("n", STANDARD, 120), None);
        assert_eq!(known("m", STANDARD, 119), None);
        assert_eq!(known("m", STANDARD, 180), None);

        cache.insert("m", STANDARD, 5, at(119), quote(3.0));
        assert_eq!(known("m", STANDARD, 119), None);
        assert_eq!(known("m", STANDARD, 120), Some(quote(1.0)));
        cache.insert("m", STANDARD, 6, at(180), quote(4.0));
        assert_eq!(known("m", STANDARD, 180), None);
        assert_eq!(known("m", STANDARD, 120), None);

        // The clock was two hours ahead.
        cache.insert("m", STANDARD, 5, at(7_200), quote(5.0));
        cache.insert("m", STANDARD, 5, at(0), quote(6.0));
        assert_eq!(known("m", STANDARD, 7_200), None);
        assert_eq!(known("m", STANDARD, 0), Some(quote(6.0)));
    }

    #[test]
    fn an_upstream_that_makes_names_up_takes_no_memory() {
        let cache = QuoteCache::default();
        let count = || cache.entries.read().unwrap().len();
        for name in 0..10 * MAX_ENTRIES {
            cache.insert(&format!("m{name}"), STANDARD, 1, at(0), quote(1.0));
            assert!(count() <= MAX_ENTRIES);
        }
        cache.insert("m", STANDARD, 1, at(0), quote(1.0));
        assert_eq!(cache.get("m", STANDARD, 1, at(0)), Some(quote(1.0)));
        let before = count();
        let long = "m".repeat(MAX_NAME + 1);
        cache.insert(&long, STANDARD, 1, at(0), quote(1.0));
        cache.insert("m", Tier::Named(&long), 1, at(0), quote(1.0));
        assert_eq!(count(), before);
        for input in 0..100_u32 {
            cache.insert("odd", STANDARD, input.into(), at(0), quote(input.into()));
        }
        let entries = cache.entries.read().unwrap();
        let odd = entries.iter().find(|entry| entry.model == "odd").unwrap();
        assert_eq!(odd.bands.len(), MAX_BANDS);
    }
}

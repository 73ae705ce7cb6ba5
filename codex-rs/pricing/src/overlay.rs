//! The file of `--prices`: models that the bundled list lacks, and others at another price.
//!
//! ```toml
//! [prices."my-model"]        # USD per million tokens
//! input = 1.25
//! cached_input = 0.125       # as input, if it is left out
//! cache_write = 1.5625       # as input, if it is left out
//! output = 10.0
//!
//! [prices."my-model".tiers.flex]
//! input = 0.625
//! output = 5.0
//! ```

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::rates::{Quote, Rates};
use crate::snapshot::without_date;
use crate::tier::Tier;

/// The dearest price, in US dollars per million tokens: a dollar a token. More is a mistake of the unit.
const DEAREST: f64 = 1_000_000.0;

/// Prices that override the bundled ones.
///
/// A model is named as answers name it, letter by letter. A table for `my-model` is also for its dated
/// snapshots, `my-model-2026-01-01`, because requests name the one and answers the other; a snapshot with a
/// table of its own has the price in that. A model with a table has no price from the bundled list, for no
/// tier: one that the table does not name is charged at the table's standard price, as an estimate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    models: HashMap<String, ModelPrices>,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelPrices {
    standard: Rates,
    tiers: HashMap<String, Rates>,
}

/// What is wrong with a file of prices, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayError {
    /// Counts from 1.
    pub line: usize,
    /// Dotted, as it would be written in the file. `None` where the file is not TOML.
    pub key: Option<String>,
    /// What is wrong there, to be read after the key.
    pub what: String,
}

impl fmt::Display for OverlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for OverlayError {}

impl Overlay {
    /// Reads a TOML document, in which nothing but prices may stand.
    ///
    /// # Errors
    ///
    /// The first [`OverlayError`], with its line and key.
    pub fn parse(text: &str) -> Result<Self, OverlayError> {
        let document = DeTable::parse(text).map_err(|error| OverlayError {
            line: line_of(text, error.span().unwrap_or_default().start),
            key: None,
            what: error.message().to_owned(),
        })?;
        let mut overlay = Self::default();
        for (name, value) in document.get_ref() {
            if name.get_ref() != "prices" {
                let what = "is not known; only tables [prices.\"MODEL\"] are";
                return Err(Reader { text }.fault(&Key::root(name), what));
            }
            overlay = Self::from_table(text, name, value)?;
        }
        Ok(overlay)
    }

    /// Reads the table of prices of a document that also holds other things.
    ///
    /// `text` is the whole document, from which `name`, a key at its root, and `value` were parsed: errors
    /// name lines of it.
    ///
    /// # Errors
    ///
    /// The first [`OverlayError`], with its line and key.
    pub fn from_table(
        text: &str,
        name: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Self, OverlayError> {
        let reader = Reader { text };
        let key = Key::root(name);
        let mut models = HashMap::new();
        for (name, value) in reader.table(&key, value)? {
            let model = reader.model(&key.below(name), value)?;
            models.insert(name.get_ref().to_string(), model);
        }
        Ok(Self { models })
    }

    /// Both together; where both have a table for a model, it is this one's.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let mut models = below.models;
        models.extend(self.models);
        Self { models }
    }

    /// The rates for an answer, if its model has a table.
    pub(crate) fn quote(&self, model: &str, tier: Tier<'_>) -> Option<Quote> {
        let prices = self
            .models
            .get(model)
            .or_else(|| self.models.get(without_date(model)?))?;
        let (rates, estimated) = match tier {
            Tier::Standard => (prices.standard, false),
            Tier::Auto => (prices.standard, true),
            Tier::Named(name) => match prices.tiers.get(name) {
                Some(rates) => (*rates, false),
                None => (prices.standard, true),
            },
        };
        Some(Quote { rates, estimated })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// A key, and where it stands.
struct Key {
    dotted: String,
    at: usize,
}

type Name<'i> = Spanned<Cow<'i, str>>;

impl Key {
    fn root(name: &Name<'_>) -> Self {
        Self {
            dotted: as_written(name.get_ref()),
            at: name.span().start,
        }
    }

    fn below(&self, name: &Name<'_>) -> Self {
        Self {
            dotted: format!("{}.{}", self.dotted, as_written(name.get_ref())),
            at: name.span().start,
        }
    }
}

/// A key with quotes where TOML wants them, and without control characters.
fn as_written(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.escape_debug())
    }
}

struct Reader<'i> {
    text: &'i str,
}

/// What is left to be read of a table of rates.
#[derive(Default)]
struct Found {
    input: Option<f64>,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: Option<f64>,
}

impl Reader<'_> {
    fn fault(&self, key: &Key, what: &str) -> OverlayError {
        OverlayError {
            line: line_of(self.text, key.at),
            key: Some(key.dotted.clone()),
            what: what.to_owned(),
        }
    }

    fn table<'a, 'i>(
        &self,
        key: &Key,
        value: &'a Spanned<DeValue<'i>>,
    ) -> Result<&'a DeTable<'i>, OverlayError> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.fault(key, "has to be a table"))
    }

    fn model(&self, key: &Key, value: &Spanned<DeValue<'_>>) -> Result<ModelPrices, OverlayError> {
        let table = self.table(key, value)?;
        let mut tiers = HashMap::new();
        let standard = self.rates(key, table, |key, value| {
            for (name, value) in self.table(key, value)? {
                let key = key.below(name);
                if !matches!(Tier::new(Some(name.get_ref())), Tier::Named(_)) {
                    let what = "has no price of its own; the standard one is the model's";
                    return Err(self.fault(&key, what));
                }
                let rates = self.rates(&key, self.table(&key, value)?, |key, _| {
                    Err(self.fault(key, UNKNOWN))
                })?;
                tiers.insert(name.get_ref().to_string(), rates);
            }
            Ok(())
        })?;
        Ok(ModelPrices { standard, tiers })
    }

    /// The rates in a table; `tiers` gets the value of the key of that name.
    fn rates(
        &self,
        key: &Key,
        table: &DeTable<'_>,
        mut tiers: impl FnMut(&Key, &Spanned<DeValue<'_>>) -> Result<(), OverlayError>,
    ) -> Result<Rates, OverlayError> {
        let mut found = Found::default();
        for (name, value) in table {
            let key = key.below(name);
            let place = match name.get_ref().as_ref() {
                "input" => &mut found.input,
                "cached_input" => &mut found.cached_input,
                "cache_write" => &mut found.cache_write,
                "output" => &mut found.output,
                "tiers" => {
                    tiers(&key, value)?;
                    continue;
                }
                _ => return Err(self.fault(&key, UNKNOWN)),
            };
            *place = Some(self.rate(&key, value)?);
        }
        let need = |found: Option<f64>, what| found.ok_or_else(|| self.fault(key, what));
        let input = need(
            found.input,
            "has no input, in US dollars per million tokens",
        )?;
        let output = need(
            found.output,
            "has no output, in US dollars per million tokens",
        )?;
        Ok(Rates {
            input,
            cached: found.cached_input.unwrap_or(input),
            cache_write: found.cache_write.unwrap_or(input),
            output,
        })
    }

    fn rate(&self, key: &Key, value: &Spanned<DeValue<'_>>) -> Result<f64, OverlayError> {
        let number = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return Err(self.fault(key, "has to be a decimal number, as in 1.25")),
        };
        let is_price = |rate: &f64| rate.is_sign_positive() && *rate <= DEAREST;
        let rate = number.parse().ok().filter(is_price);
        rate.ok_or_else(|| {
            let what = "has to be a price from 0 to 1000000, in US dollars per million tokens";
            self.fault(key, what)
        })
    }
}

const UNKNOWN: &str = "is not known; input, cached_input, cache_write, output and tiers are";

//! What a request will probably cost, learned from what others have cost.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::hold::Mode;

/// Bytes of a request's body for a token of input, before anything is learned.
const FIRST_RATIO: f64 = 3.5;

/// The most tokens of input that are expected, whatever the bytes: more than models take.
const MOST_INPUT: u64 = 1_000_000;

/// The tokens of an answer, before anything is learned.
const FIRST_OUTPUT: u64 = 1_024;

/// How many outputs are remembered.
const OUTPUTS: usize = 64;

/// So many outputs tell what others will be.
const ENOUGH_OUTPUTS: usize = 8;

/// How many pairs of an account and a model are remembered, and how many models.
const MOST_PAIRS: usize = 4_096;
const MOST_MODELS: usize = 1_024;

/// Bytes of text for a token of output, at least.
const BYTES_OF_TOKEN: u64 = 4;

/// How many tokens of output there are for one that is shown, at most: the rest is reasoning.
const MOST_UNSHOWN: f64 = 50.0;

/// The weight of the newest value in a mean.
const WEIGHT: f64 = 1.0 / 8.0;

/// Tokens that a request will probably cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Of input, the cached ones included.
    pub input: u64,
    /// Those of the input that the upstream has cached.
    pub cached: u64,
    /// Of output.
    pub output: u64,
}

/// How much of an answer has passed, as far as it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Events with a piece of output; most services send one for each token.
    pub deltas: u64,
    /// The text in them, in bytes.
    pub bytes: u64,
}

impl Shown {
    /// Tokens that can be seen: a piece is one at least, and a long piece is several.
    fn tokens(self) -> u64 {
        self.deltas.max(self.bytes / BYTES_OF_TOKEN)
    }
}

/// What an answer says it has used, and what of it had shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens of input, the cached ones included.
    pub input: u64,
    /// Those of the input that the upstream had cached.
    pub cached: u64,
    /// Tokens of output, those of reasoning included.
    pub output: u64,
    /// What passed of the answer; nothing of one that is not streamed.
    pub shown: Shown,
}

/// Learns, for each account and model, how long inputs and outputs are.
#[derive(Debug, Default)]
pub struct Estimator(Mutex<Learned>);

#[derive(Debug, Default)]
struct Learned {
    pairs: HashMap<(Box<str>, Box<str>), Habits>,
    models: HashMap<Box<str>, Habits>,
    uses: u64,
}

#[derive(Clone, Debug)]
struct Habits {
    ratio: f64,
    cached: f64,
    last_cached: f64,
    /// Tokens of output for one that is shown.
    unshown: f64,
    outputs: VecDeque<u64>,
    last_use: u64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            ratio: FIRST_RATIO,
            cached: 0.0,
            last_cached: 0.0,
            unshown: 1.0,
            outputs: VecDeque::new(),
            last_use: 0,
        }
    }
}

impl Habits {
    fn learn(&mut self, bytes: u64, used: Used) {
        let Used {
            input,
            cached,
            output,
            shown,
        } = used;
        if shown.tokens() > 0 {
            let unshown = output as f64 / shown.tokens() as f64;
            self.unshown = mean(self.unshown, unshown).clamp(1.0, MOST_UNSHOWN);
        }
        if input > 0 {
            self.ratio = mean(self.ratio, bytes as f64 / input as f64).clamp(1.0, 20.0);
            self.last_cached = (cached as f64 / input as f64).clamp(0.0, 1.0);
            self.cached = mean(self.cached, self.last_cached);
        }
        if self.outputs.len() >= OUTPUTS {
            self.outputs.pop_front();
        }
        self.outputs.push_back(output);
    }

    /// Of a hundred outputs, 95 are at most this.
    fn output(&self) -> Option<u64> {
        let mut sorted: Vec<u64> = self.outputs.iter().copied().collect();
        sorted.sort_unstable();
        sorted
            .get((sorted.len() * 95).div_ceil(100).saturating_sub(1))
            .copied()
    }
}

fn mean(before: f64, newest: f64) -> f64 {
    before + (newest - before) * WEIGHT
}

impl Estimator {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a request with a body of so many bytes will cost. In [`Mode::Strict`], what it may cost at most.
    #[must_use]
    pub fn estimate(
        &self,
        account: &str,
        model: &str,
        bytes: u64,
        max_output_tokens: Option<u64>,
        mode: Mode,
    ) -> Estimate {
        let most = max_output_tokens.unwrap_or(u64::MAX);
        if mode == Mode::Strict {
            // A token is at least one byte.
            return Estimate {
                input: bytes,
                cached: 0,
                output: most,
            };
        }
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.uses = learned.uses.wrapping_add(1);
        let uses = learned.uses;
        let known = learned
            .pairs
            .get_mut(&(account.into(), model.into()))
            .map(|habits| {
                habits.last_use = uses;
                habits.clone()
            });
        let of_model = learned.models.get(model).cloned().unwrap_or_default();
        drop(learned);
        let outputs = [known.as_ref(), Some(&of_model)];
        let output = outputs
            .into_iter()
            .flatten()
            .find(|habits| habits.outputs.len() >= ENOUGH_OUTPUTS)
            .and_then(Habits::output)
            .unwrap_or_else(|| of_model.output().unwrap_or(0).max(FIRST_OUTPUT));
        let ratio = known.as_ref().unwrap_or(&of_model).ratio;
        let share = known.map_or(0.0, |habits| habits.cached.min(habits.last_cached));
        // Conversions from floating point saturate.
        let input = ((bytes as f64 / ratio).ceil() as u64).min(MOST_INPUT);
        let cached = ((input as f64 * share) as u64).min(input);
        Estimate {
            input,
            cached,
            output: output.min(most),
        }
    }

    /// Tokens of output that an answer has come to which has shown so much of itself.
    #[must_use]
    pub fn output_of(&self, account: &str, model: &str, shown: Shown) -> u64 {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = learned.pairs.get(&(account.into(), model.into()));
        let unshown = known
            .or_else(|| learned.models.get(model))
            .map_or(1.0, |habits| habits.unshown);
        // Conversions from floating point saturate.
        (shown.tokens() as f64 * unshown).ceil() as u64
    }

    /// What a request with a body of so many bytes has cost. Only of answers that say so: a model's name is the
    /// caller's, and what the upstream refuses is not remembered.
    pub fn learn(&self, account: &str, model: &str, bytes: u64, used: Used) {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.uses = learned.uses.wrapping_add(1);
        let uses = learned.uses;
        let of_model = of(
            &mut learned.models,
            model.into(),
            MOST_MODELS,
            uses,
            Habits::default,
        );
        let before = of_model.clone();
        of_model.learn(bytes, used);
        let begin = || Habits {
            ratio: before.ratio,
            unshown: before.unshown,
            ..Habits::default()
        };
        of(
            &mut learned.pairs,
            (account.into(), model.into()),
            MOST_PAIRS,
            uses,
            begin,
        )
        .learn(bytes, used);
    }
}

/// The habits of `key`; of the others, the one that was not used for the longest time goes if there are too many.
fn of<K: Clone + Eq + Hash>(
    all: &mut HashMap<K, Habits>,
    key: K,
    most: usize,
    uses: u64,
    begin: impl FnOnce() -> Habits,
) -> &mut Habits {
    if all.len() >= most
        && !all.contains_key(&key)
        && let Some(oldest) = all
            .iter()
            .min_by_key(|(_, habits)| habits.last_use)
            .map(|(key, _)| key.clone())
    {
        all.remove(&oldest);
    }
    let habits = all.entry(key).or_insert_with(begin);
    habits.last_use = uses;
    habits
}

#[cfg(test)]
mod tests;

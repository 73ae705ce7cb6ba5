//! What a request will probably cost, learned from what others have cost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::hold::Mode;

/// Bytes of a request's body for a token of input, before anything is learned.
const FIRST_RATIO: f64 = 3.5;

/// The most tokens of input that are expected, whatever the bytes: more than models take.
const MOST_INPUT: u64 = 1_000_000;

/// The tokens of an answer, before anything is learned.
const FIRST_OUTPUT: u64 = 1_024;

/// The least that is expected of an answer that does not show what it comes to before its end.
const UNSEEN_OUTPUT: u64 = 8_192;

/// How many outputs are remembered.
const OUTPUTS: usize = 64;

/// So many outputs tell what others will be.
const ENOUGH_OUTPUTS: usize = 8;

/// How many pairs of an account and a model are remembered.
const MOST_PAIRS: usize = 4_096;

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
    /// Tokens of output that such an answer has come to, if there are `unshown` for one that shows.
    #[must_use]
    pub fn output(self, unshown: f64) -> u64 {
        // Conversions from floating point saturate.
        (self.tokens() as f64 * unshown).ceil() as u64
    }

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

/// What a request asks for, as far as its cost depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of its body, in bytes.
    pub bytes: u64,
    /// The most tokens of output that it asks for.
    pub max_output_tokens: Option<u64>,
    /// Whether the answer comes event by event.
    pub is_streamed: bool,
}

/// Learns, for each account and model, how long inputs and outputs are.
#[derive(Debug, Default)]
pub struct Estimator(Mutex<Learned>);

#[derive(Debug, Default)]
struct Learned {
    /// By account and model. What others have done is not looked at: nobody can make another one's requests dear.
    pairs: HashMap<(Box<str>, Box<str>), Habits>,
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

    /// What a request will probably cost. In [`Mode::Strict`], what it may cost at most.
    #[must_use]
    pub fn estimate(&self, account: &str, model: &str, asked: Asked, mode: Mode) -> Estimate {
        let most = asked.max_output_tokens.unwrap_or(u64::MAX);
        if mode == Mode::Strict {
            // A token is at least one byte.
            return Estimate {
                input: asked.bytes,
                cached: 0,
                output: most,
            };
        }
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.uses = learned.uses.wrapping_add(1);
        let uses = learned.uses;
        let known = learned.pairs.get_mut(&(account.into(), model.into()));
        let habits = known.map(|habits| {
            habits.last_use = uses;
            habits.clone()
        });
        drop(learned);
        let habits = habits.unwrap_or_default();
        let few = habits.outputs.len() < ENOUGH_OUTPUTS;
        let least = match (asked.is_streamed, few) {
            (false, _) => UNSEEN_OUTPUT,
            (true, true) => FIRST_OUTPUT,
            (true, false) => 0,
        };
        let output = habits.output().unwrap_or(0).max(least);
        // Conversions from floating point saturate.
        let input = ((asked.bytes as f64 / habits.ratio).ceil() as u64).min(MOST_INPUT);
        let share = habits.cached.min(habits.last_cached);
        let cached = ((input as f64 * share) as u64).min(input);
        Estimate {
            input,
            cached,
            output: output.min(most),
        }
    }

    /// How many tokens of output there are for one that shows: the rest is reasoning. For [`Shown::output`].
    #[must_use]
    pub fn unshown(&self, account: &str, model: &str) -> f64 {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = learned.pairs.get(&(account.into(), model.into()));
        known.map_or(1.0, |habits| habits.unshown)
    }

    /// What a request with a body of so many bytes has cost. Only of answers that say so: a model's name is the
    /// caller's, and what the upstream refuses is not remembered.
    pub fn learn(&self, account: &str, model: &str, bytes: u64, used: Used) {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.uses = learned.uses.wrapping_add(1);
        let uses = learned.uses;
        let pair = (account.into(), model.into());
        if learned.pairs.len() >= MOST_PAIRS && !learned.pairs.contains_key(&pair) {
            let oldest = learned
                .pairs
                .iter()
                .min_by_key(|(_, habits)| habits.last_use);
            if let Some(oldest) = oldest.map(|(pair, _)| pair.clone()) {
                learned.pairs.remove(&oldest);
            }
        }
        let habits = learned.pairs.entry(pair).or_default();
        habits.last_use = uses;
        habits.learn(bytes, used);
    }
}

#[cfg(test)]
mod tests;

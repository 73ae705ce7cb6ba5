//! What a request will probably cost, learned from what others have cost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Bytes of a request's body for a token of input, at most. Text and JSON have about four; a caller could have others
/// taken for normal, to be charged too little for what it cuts off.
const MOST_RATIO: f64 = 8.0;

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
    /// Tokens of output that such an answer has come to.
    #[must_use]
    pub fn output(self, hidden: Hidden) -> u64 {
        let tokens = self.tokens();
        // Conversions from floating point saturate.
        let by_share = (tokens as f64 * hidden.for_one_shown).ceil() as u64;
        tokens.saturating_add(by_share.min(hidden.in_all.ceil() as u64))
    }

    /// Tokens that can be seen: a piece is one at least, and a long piece is several.
    fn tokens(self) -> u64 {
        self.deltas.max(self.bytes / BYTES_OF_TOKEN)
    }
}

/// Tokens of output that do not show, which is reasoning: of a whole answer, and for each that shows. What was seen of an
/// answer does not say how much that was, so the smaller of both counts: an answer that shows much has not reasoned more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hidden {
    for_one_shown: f64,
    in_all: f64,
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
    accounts: HashMap<Box<str>, HashMap<Box<str>, Habits>>,
    /// How many pairs of an account and a model there are.
    pairs: usize,
    uses: u64,
}

#[derive(Debug)]
struct Habits {
    means: Means,
    /// The newest last.
    outputs: VecDeque<u64>,
    /// The same, the smallest first.
    sorted: Vec<u64>,
    last_use: u64,
}

/// What is known of requests of a pair, besides their outputs.
#[derive(Clone, Copy, Debug)]
struct Means {
    /// Bytes for a token of input.
    ratio: f64,
    cached: f64,
    last_cached: f64,
    /// Of the last whole answer, in tokens: the upstream cannot have cached more of the next one's input.
    last_input: u64,
    hidden: Hidden,
}

impl Default for Means {
    fn default() -> Self {
        Self {
            ratio: FIRST_RATIO,
            cached: 0.0,
            last_cached: 0.0,
            last_input: 0,
            hidden: Hidden::default(),
        }
    }
}

impl Habits {
    fn new() -> Self {
        Self {
            means: Means::default(),
            outputs: VecDeque::new(),
            sorted: Vec::new(),
            last_use: 0,
        }
    }

    fn learn(&mut self, bytes: u64, used: Used) {
        let Used {
            input,
            cached,
            output,
            shown,
        } = used;
        let means = &mut self.means;
        // Each value is bounded, and not only the mean: one that is far off would move that to its bound at once.
        if shown.tokens() > 0 {
            let hidden = output.saturating_sub(shown.tokens()) as f64;
            let for_one_shown = (hidden / shown.tokens() as f64).min(MOST_UNSHOWN - 1.0);
            means.hidden = Hidden {
                for_one_shown: mean(means.hidden.for_one_shown, for_one_shown),
                in_all: mean(means.hidden.in_all, hidden),
            };
        }
        if input > 0 {
            let ratio = (bytes as f64 / input as f64).clamp(1.0, MOST_RATIO);
            means.ratio = mean(means.ratio, ratio);
            means.last_input = input;
            means.last_cached = (cached as f64 / input as f64).clamp(0.0, 1.0);
            means.cached = mean(means.cached, means.last_cached);
        }
        if self.outputs.len() >= OUTPUTS
            && let Some(oldest) = self.outputs.pop_front()
            && let Ok(place) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(place);
        }
        self.outputs.push_back(output);
        let place = self.sorted.partition_point(|&known| known < output);
        self.sorted.insert(place, output);
    }

    /// Of a hundred outputs, 95 are at most this.
    fn output(&self) -> Option<u64> {
        let count = self.sorted.len();
        let place = (count * 95).div_ceil(100).checked_sub(1)?;
        self.sorted.get(place).copied()
    }
}

fn mean(before: f64, newest: f64) -> f64 {
    before + (newest - before) * WEIGHT
}

impl Learned {
    fn get(&self, account: &str, model: &str) -> Option<&Habits> {
        self.accounts.get(account)?.get(model)
    }

    /// Those of the pair, which was used now.
    fn used(&mut self, account: &str, model: &str) -> Option<&mut Habits> {
        self.uses = self.uses.wrapping_add(1);
        let habits = self.accounts.get_mut(account)?.get_mut(model)?;
        habits.last_use = self.uses;
        Some(habits)
    }

    /// Makes room for one more pair.
    fn forget_oldest(&mut self) {
        let pairs = self.accounts.iter().flat_map(|(account, models)| {
            let pair = move |(model, habits): (_, &Habits)| (habits.last_use, account, model);
            models.iter().map(pair)
        });
        let Some((_, account, model)) = pairs.min_by_key(|(last_use, ..)| *last_use) else {
            return;
        };
        let (account, model) = (account.clone(), model.clone());
        if let Some(models) = self.accounts.get_mut(&account) {
            models.remove(&model);
            if models.is_empty() {
                self.accounts.remove(&account);
            }
            self.pairs = self.pairs.saturating_sub(1);
        }
    }
}

impl Estimator {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut learned = self.lock();
        let known = learned.used(account, model).map(|habits| {
            let is_enough = habits.outputs.len() >= ENOUGH_OUTPUTS;
            (habits.means, habits.output(), is_enough)
        });
        drop(learned);
        let (means, output, is_enough) = known.unwrap_or_default();
        let least = match (asked.is_streamed, is_enough) {
            (false, _) => UNSEEN_OUTPUT,
            (true, false) => FIRST_OUTPUT,
            (true, true) => 0,
        };
        let output = output.unwrap_or(0).max(least);
        // Conversions from floating point saturate.
        let input = ((asked.bytes as f64 / means.ratio).ceil() as u64).min(MOST_INPUT);
        let share = means.cached.min(means.last_cached);
        let cached = ((input as f64 * share) as u64)
            .min(input)
            .min(means.last_input);
        Estimate {
            input,
            cached,
            output: output.min(most),
        }
    }

    /// How much of an answer will not show. For [`Shown::output`].
    #[must_use]
    pub fn hidden(&self, account: &str, model: &str) -> Hidden {
        let learned = self.lock();
        let known = learned.get(account, model);
        known.map(|habits| habits.means.hidden).unwrap_or_default()
    }

    /// What a request with a body of so many bytes has cost. Only of answers that say so: a model's name is the
    /// caller's, and what the upstream refuses is not remembered.
    pub fn learn(&self, account: &str, model: &str, bytes: u64, used: Used) {
        let mut learned = self.lock();
        if let Some(habits) = learned.used(account, model) {
            habits.learn(bytes, used);
            return;
        }
        if learned.pairs >= MOST_PAIRS {
            learned.forget_oldest();
        }
        let mut habits = Habits::new();
        habits.last_use = learned.uses;
        habits.learn(bytes, used);
        let models = learned.accounts.entry(account.into()).or_default();
        models.insert(model.into(), habits);
        learned.pairs += 1;
    }
}

#[cfg(test)]
mod tests;

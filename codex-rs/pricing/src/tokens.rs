//! What an answer says it used.

use crate::error::PriceError;

/// The counts in an answer's `usage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// All of the input, with what was read from the cache and what was written to it.
    pub input: u64,
    /// The part of the input that was read from the cache (`input_tokens_details.cached_tokens`).
    pub cached: u64,
    /// The part of the input that was written to the cache (`input_tokens_details.cache_write_tokens`).
    /// OpenAI charges extra for it since GPT-5.6, and older models do not report it: 0.
    pub cache_write: u64,
    /// All of the output, with the reasoning.
    pub output: u64,
    /// The part of the output that is reasoning, charged as output.
    pub reasoning: u64,
}

impl Tokens {
    /// Whether each part fits into its whole. A server that counts in another way, with the reasoning beside
    /// the output for one, would be charged too little.
    pub(crate) fn check(&self) -> Result<(), PriceError> {
        if self.uncached().is_none() {
            return Err(PriceError::Usage {
                part: "cached and cache write",
                whole: "input",
            });
        }
        if self.reasoning > self.output {
            return Err(PriceError::Usage {
                part: "reasoning",
                whole: "output",
            });
        }
        Ok(())
    }

    /// The input that had nothing to do with the cache.
    pub(crate) fn uncached(&self) -> Option<u64> {
        self.input
            .checked_sub(self.cached)?
            .checked_sub(self.cache_write)
    }
}

//! Tokens, counted as Codex counts them.

use serde::{Deserialize, Serialize};

use crate::events::lenient::{Count, Object};
use crate::events::{InputDetails, OutputDetails, Usage};

/// Of a request, a turn or a whole thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TokenUsage {
    pub(crate) input_tokens: u64,
    pub(crate) cached_input_tokens: u64,
    pub(crate) cache_write_input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) reasoning_output_tokens: u64,
    pub(crate) total_tokens: u64,
}

impl TokenUsage {
    pub(super) fn add(&mut self, other: Self) {
        let sum = u64::saturating_add;
        self.input_tokens = sum(self.input_tokens, other.input_tokens);
        self.cached_input_tokens = sum(self.cached_input_tokens, other.cached_input_tokens);
        self.cache_write_input_tokens = sum(
            self.cache_write_input_tokens,
            other.cache_write_input_tokens,
        );
        self.output_tokens = sum(self.output_tokens, other.output_tokens);
        self.reasoning_output_tokens =
            sum(self.reasoning_output_tokens, other.reasoning_output_tokens);
        self.total_tokens = sum(self.total_tokens, other.total_tokens);
    }
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        let (input, output) = (usage.input_tokens_details.0, usage.output_tokens_details.0);
        Self {
            input_tokens: usage.input_tokens.0,
            cached_input_tokens: input.cached_tokens.0,
            cache_write_input_tokens: input.cache_write_tokens.0,
            output_tokens: usage.output_tokens.0,
            reasoning_output_tokens: output.reasoning_tokens.0,
            total_tokens: usage.input_tokens.0.saturating_add(usage.output_tokens.0),
        }
    }
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        Self {
            input_tokens: Count(usage.input_tokens),
            output_tokens: Count(usage.output_tokens),
            input_tokens_details: Object(InputDetails {
                cached_tokens: Count(usage.cached_input_tokens),
                cache_write_tokens: Count(usage.cache_write_input_tokens),
            }),
            output_tokens_details: Object(OutputDetails {
                reasoning_tokens: Count(usage.reasoning_output_tokens),
            }),
        }
    }
}

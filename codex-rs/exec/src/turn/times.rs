//! How long an answer took, and what is said of it at its end.

use std::time::{Duration, Instant};

use crate::events::answer::Answer;
use crate::transport::error::seconds;

/// How long an answer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) started: Instant,
    pub(super) first_text: Option<Instant>,
}

impl Times {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            first_text: None,
        }
    }

    /// Who answered, how many tokens it took, and how long.
    pub(super) fn summary(&self, answer: &Answer, provider: &str) -> String {
        let mut parts = Vec::new();
        let model = answer.model.as_deref().unwrap_or("a model");
        parts.push(format!("{model} by {provider}"));
        if let Some(usage) = answer.usage {
            let cached = usage.input_tokens_details.0.cached_tokens.0;
            let thought = usage.output_tokens_details.0.reasoning_tokens.0;
            let of = |n, what| match n {
                0 => String::new(),
                n => format!(" ({n} {what})"),
            };
            parts.push(format!(
                "{} tokens in{}, {} out{}",
                usage.input_tokens.0,
                of(cached, "cached"),
                usage.output_tokens.0,
                of(thought, "reasoning")
            ));
        }
        let first = self.first_text.map(|first| first - self.started);
        parts.push(time(self.started.elapsed(), first));
        parts.join(", ")
    }
}

fn time(whole: Duration, first: Option<Duration>) -> String {
    match first {
        Some(first) => format!("{} (first text after {})", seconds(whole), seconds(first)),
        None => seconds(whole),
    }
}

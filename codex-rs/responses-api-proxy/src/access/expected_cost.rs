//! What a request is expected to cost, in the units of the ledger and of prices. Pure.

use codex_ledger::{Amounts, Estimate};
use codex_pricing::Tokens;

/// An estimate that was larger than what could be held is taken to be that much too high.
pub(super) fn scaled(estimate: Estimate, held: Amounts, wanted: Amounts) -> Estimate {
    let part = |held: u64, wanted: u64| match wanted {
        0 => 1.0,
        wanted => held as f64 / wanted as f64,
    };
    let part = part(held.tokens, wanted.tokens).min(part(held.nano_usd, wanted.nano_usd));
    // Conversions from floating point saturate.
    let of = |tokens: u64| {
        if part < 1.0 {
            (tokens as f64 * part) as u64
        } else {
            tokens
        }
    };
    Estimate {
        input: of(estimate.input),
        cached: of(estimate.cached),
        output: of(estimate.output),
    }
}

/// The tokens that are expected, as prices go by them.
pub(super) fn of_estimate(estimate: &Estimate) -> Tokens {
    Tokens {
        input: estimate.input,
        cached: estimate.cached,
        output: estimate.output,
        ..Tokens::default()
    }
}

/// In billionths of a dollar, rounded up: finite, and 0 or more.
pub(super) fn nano(usd: f64) -> u64 {
    // Conversions from floating point saturate.
    (usd * 1e9).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_no_more_than_what_could_be_held_for_it() {
        let estimate = Estimate {
            input: 1_000,
            cached: 500,
            output: 200,
        };
        let amounts = |tokens, nano_usd| Amounts {
            requests: 1,
            tokens,
            nano_usd,
        };
        let wanted = amounts(1_200, 1_000_000);
        assert_eq!(scaled(estimate, wanted, wanted), estimate);
        let half = Estimate {
            input: 500,
            cached: 250,
            output: 100,
        };
        assert_eq!(scaled(estimate, amounts(600, 1_000_000), wanted), half);
        assert_eq!(scaled(estimate, amounts(1_200, 500_000), wanted), half);
        assert_eq!(scaled(estimate, amounts(0, 0), amounts(0, 0)), estimate);
    }

    #[test]
    fn dollars_are_rounded_up_to_a_billionth() {
        assert_eq!(
            (nano(0.0), nano(1.0), nano(1e-10), nano(f64::MAX)),
            (0, 1_000_000_000, 1, u64::MAX)
        );
    }
}

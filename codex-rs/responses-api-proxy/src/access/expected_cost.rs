//! What a request is expected to cost, in the units of the ledger and of prices. Pure.

use codex_ledger::{Amounts, Estimate, Mode};
use codex_pricing::Tokens;

use crate::refusal::{Reason, Refusal};

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

/// What so many tokens cost in this tier, by `price`. In [`Mode::Strict`] what they may cost at most: the input may be
/// written to the upstream's cache, for which some models charge more, and no tier, or `auto`, is the one that the
/// project is set to.
pub(super) fn worth(
    estimate: &Estimate,
    tier: Option<&str>,
    mode: Mode,
    price: impl Fn(Option<&str>, &Tokens) -> u64,
) -> u64 {
    let plain = of_estimate(estimate);
    if mode == Mode::Expected {
        return price(tier, &plain);
    }
    let written = Tokens {
        cache_write: plain.input,
        ..plain
    };
    let dearest = match tier {
        None | Some("auto") => Some("priority"),
        named => named,
    };
    let of_tier = |tier| price(tier, &plain).max(price(tier, &written));
    of_tier(tier).max(of_tier(dearest))
}

/// The refusal where a limit in dollars applies and `what` has no price; `key` is that of the table that gives it one.
pub(super) fn no_price(what: &str, key: &str) -> Refusal {
    Refusal::because(
        Reason::PriceUnknown,
        format!(
            "the price of {what} is not known, and there is a limit in dollars; a table [prices.\"{key}\"] with \
             input and output in the proxy's policy gives it one"
        ),
    )
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
    fn the_most_that_tokens_may_cost_is_by_the_dearest_tier_and_with_a_cache_that_is_written() {
        let estimate = Estimate {
            input: 100,
            cached: 0,
            output: 10,
        };
        let price = |tier: Option<&str>, tokens: &Tokens| {
            let of_tier = if tier == Some("priority") { 2 } else { 1 };
            of_tier
                * (4 * (tokens.input - tokens.cache_write)
                    + 5 * tokens.cache_write
                    + 8 * tokens.output)
        };
        let of = |tier, mode| worth(&estimate, tier, mode, price);
        for tier in [None, Some("auto"), Some("default")] {
            assert_eq!(of(tier, Mode::Expected), 480, "{tier:?}");
        }
        assert_eq!(of(None, Mode::Strict), 2 * 580);
        assert_eq!(of(Some("auto"), Mode::Strict), 2 * 580);
        assert_eq!(of(Some("default"), Mode::Strict), 580);
    }

    #[test]
    fn dollars_are_rounded_up_to_a_billionth() {
        assert_eq!(
            (nano(0.0), nano(1.0), nano(1e-10), nano(f64::MAX)),
            (0, 1_000_000_000, 1, u64::MAX)
        );
    }
}

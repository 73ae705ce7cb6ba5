use std::time::{Duration, UNIX_EPOCH};

use super::*;

mod against_the_list;

/// 2026-11-01: behind every change of a price that the list has.
const NOW: u64 = 1_793_491_200;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn tokens(input: u64, cached: u64, output: u64, reasoning: u64) -> Tokens {
    Tokens {
        input,
        cached,
        output,
        reasoning,
        ..Tokens::default()
    }
}

fn cost_of(model: &str, tier: Option<&str>, tokens: &Tokens) -> Result<Cost, PriceError> {
    Prices::bundled().cost(model, tier, tokens, at(NOW))
}

#[track_caller]
fn assert_usd(cost: Result<Cost, PriceError>, usd: f64) {
    let cost = cost.unwrap();
    assert!((cost.usd - usd).abs() < 1e-9, "{cost:?}, expected {usd}");
}

#[test]
fn a_model_costs_what_the_list_says() {
    // Each per million: input, cached, output.
    for (model, input, cached, output) in [
        ("gpt-5", 1.25, 0.125, 10.0),
        ("gpt-5-2025-08-07", 1.25, 0.125, 10.0),
        ("gpt-5-codex", 1.25, 0.125, 10.0),
        ("gpt-5-mini", 0.25, 0.025, 2.0),
        ("gpt-5-nano-2025-08-07", 0.05, 0.005, 0.4),
        ("gpt-5.2", 1.75, 0.175, 14.0),
        ("gpt-5.3-codex", 1.75, 0.175, 14.0),
        ("o4-mini", 1.1, 0.275, 4.4),
        ("codex-mini-latest", 1.5, 0.375, 6.0),
    ] {
        let million = 1_000_000;
        let cost = |tokens| cost_of(model, None, &tokens);
        assert_usd(cost(tokens(million, 0, 0, 0)), input);
        assert_usd(cost(tokens(million, million, 0, 0)), cached);
        assert_usd(cost(tokens(0, 0, million, 0)), output);
        assert_usd(
            cost(tokens(million, 400_000, million, 0)),
            0.6 * input + 0.4 * cached + output,
        );
    }
}

#[test]
fn a_whole_answer_is_charged_to_the_cent() {
    // 2,000 at $1.25, 8,000 at $0.125, 300 at $10.
    let answer = tokens(10_000, 8_000, 300, 200);
    let cost = cost_of("gpt-5", Some("default"), &answer).unwrap();
    assert!((cost.usd - 0.0065).abs() < 1e-12, "{cost:?}");
    assert!(!cost.estimated);
}

#[test]
fn cached_input_is_charged_once() {
    let fresh = cost_of("gpt-5", None, &tokens(10_000, 0, 0, 0)).unwrap();
    let cached = cost_of("gpt-5", None, &tokens(10_000, 10_000, 0, 0)).unwrap();
    assert!((cached.usd - fresh.usd / 10.0).abs() < 1e-12, "{cached:?}");
}

#[test]
fn cached_input_without_a_price_of_its_own_is_charged_as_input() {
    assert_usd(
        cost_of("gpt-5-pro", None, &tokens(1_000_000, 600_000, 0, 0)),
        15.0,
    );
}

#[test]
fn cache_writes_are_charged_where_they_have_a_price() {
    let written = Tokens {
        input: 100_000,
        cache_write: 100_000,
        ..Tokens::default()
    };
    assert_usd(cost_of("gpt-5.6", None, &written), 0.5);
    assert_usd(cost_of("gpt-5.6", None, &tokens(100_000, 0, 0, 0)), 0.4);
    assert_usd(cost_of("gpt-5", None, &written), 0.125);
}

#[test]
fn reasoning_is_a_part_of_the_output() {
    let without = cost_of("gpt-5", None, &tokens(100, 0, 1_000, 0));
    assert_eq!(
        cost_of("gpt-5", None, &tokens(100, 0, 1_000, 1_000)),
        without
    );
    assert_usd(without, 0.010_125);
}

#[test]
fn a_long_input_costs_more_from_the_first_token_on() {
    for (model, tier, short, long) in [
        ("gpt-5.4", None, [2.5, 0.25, 15.0], [5.0, 0.5, 22.5]),
        (
            "gpt-5.4",
            Some("flex"),
            [1.25, 0.13, 7.5],
            [2.5, 0.25, 11.25],
        ),
        // No step: the list has one rate for all lengths.
        (
            "gpt-5.4",
            Some("priority"),
            [5.0, 0.5, 30.0],
            [5.0, 0.5, 30.0],
        ),
        (
            "gpt-5.5-2026-04-23",
            None,
            [5.0, 0.5, 30.0],
            [10.0, 1.0, 45.0],
        ),
        ("gpt-5.6", None, [4.0, 0.4, 20.0], [8.0, 0.8, 30.0]),
        (
            "gpt-6.1-sol",
            Some("priority"),
            [4.0, 0.2, 20.0],
            [8.0, 0.4, 30.0],
        ),
    ] {
        let usd = |[input, cached, output]: [f64; 3], uncached: f64| {
            0.2 * cached + uncached * input + 0.001 * output
        };
        assert_usd(
            cost_of(model, tier, &tokens(272_000, 200_000, 1_000, 0)),
            usd(short, 0.072),
        );
        assert_usd(
            cost_of(model, tier, &tokens(272_001, 200_000, 1_000, 0)),
            usd(long, 0.072_001),
        );
    }
}

#[test]
fn a_tier_with_a_price_is_charged_at_it() {
    let million = tokens(1_000_000, 0, 0, 0);
    for (model, tier, usd) in [
        ("gpt-5", "flex", 0.625),
        ("gpt-5", "priority", 2.5),
        ("gpt-5", "fast", 2.5),
        ("gpt-5-2025-08-07", "priority", 2.5),
        ("o3", "flex", 1.0),
    ] {
        let cost = cost_of(model, Some(tier), &million);
        assert_usd(cost, usd);
        assert!(!cost.unwrap().estimated, "{model} {tier}");
    }
}

#[test]
fn a_tier_without_a_price_is_an_estimate() {
    let million = tokens(1_000_000, 0, 0, 0);
    for (model, tier, usd, estimated) in [
        ("gpt-5", None, 1.25, false),
        ("gpt-5", Some(""), 1.25, false),
        ("gpt-5", Some("default"), 1.25, false),
        ("gpt-5", Some("standard"), 1.25, false),
        ("gpt-5", Some("auto"), 1.25, true),
        ("gpt-5", Some("scale"), 1.25, true),
        ("gpt-5", Some("Flex"), 1.25, true),
        ("gpt-5-nano", Some("priority"), 0.05, true),
        ("gpt-5-pro", Some("flex"), 15.0, true),
    ] {
        let cost = cost_of(model, tier, &million);
        assert_usd(cost, usd);
        assert_eq!(cost.unwrap().estimated, estimated, "{model} {tier:?}");
    }
}

#[test]
fn a_price_is_that_of_its_day() {
    let million = tokens(1_000_000, 0, 0, 0);
    let prices = Prices::bundled();
    // GPT-5.6 became cheaper on 2026-08-21, and priority has a price since 2026-10-12. Later days come first:
    // what is kept of them must not be taken for an earlier one.
    for (day, model, tier, usd, estimated) in [
        (1_787_270_400, "gpt-5.6", None, 8.0, false),
        (1_787_270_399, "gpt-5.6", None, 10.0, false),
        (1_787_270_401, "gpt-5.6", None, 8.0, false),
        (1_791_763_200, "gpt-5", Some("priority"), 2.5, false),
        (1_791_763_199, "gpt-5", Some("priority"), 1.25, true),
        (1_791_763_201, "gpt-5", Some("priority"), 2.5, false),
    ] {
        let cost = prices.cost(model, tier, &million, at(day));
        assert_usd(cost, usd);
        assert_eq!(cost.unwrap().estimated, estimated, "{day} {model}");
    }
    let before_time = UNIX_EPOCH - Duration::from_secs(1);
    assert_usd(prices.cost("gpt-5", None, &million, before_time), 1.25);
}

#[test]
fn a_model_without_a_price_is_never_free() {
    for model in [
        "",
        "my-model",
        "gpt-99",
        "claude-sonnet-4-5",
        "omni-moderation-latest",
        "my-moderation-model",
        "gpt-live-1",
        "text-embedding-3-small",
        "my-model-2026-01-01",
    ] {
        for tier in [None, Some("flex"), Some("auto")] {
            let cost = cost_of(model, tier, &tokens(1_000, 0, 10, 0));
            assert_eq!(cost, Err(PriceError::UnknownModel), "{model} {tier:?}");
        }
        let cost = cost_of(model, None, &Tokens::default());
        assert_eq!(cost, Err(PriceError::UnknownModel), "{model}");
    }
}

#[test]
fn a_snapshot_that_the_list_lacks_is_an_estimate() {
    let million = tokens(1_000_000, 0, 0, 0);
    let cost = cost_of("gpt-5-2099-01-01", Some("flex"), &million);
    assert_usd(cost, 0.625);
    assert!(cost.unwrap().estimated);
    // One with a price of its own.
    let cost = cost_of("gpt-4o-2024-05-13", None, &million);
    assert_usd(cost, 5.0);
    assert!(!cost.unwrap().estimated);
}

#[test]
fn no_tokens_cost_nothing() {
    for model in ["gpt-5", "gpt-5.6"] {
        assert_eq!(cost_of(model, None, &Tokens::default()).unwrap().usd, 0.0);
    }
}

#[test]
fn any_count_has_a_finite_cost() {
    let all = u64::MAX;
    let overlay = Overlay::parse("[prices.dear]\ninput = 1000000\noutput = 1000000").unwrap();
    let prices = Prices::bundled().with_overlay(overlay);
    for model in ["gpt-5", "gpt-6-astra", "dear"] {
        for tokens in [
            tokens(all, 0, all, all),
            tokens(all, all, all, 0),
            tokens(all, all - 1, 0, 0),
        ] {
            let cost = prices
                .cost(model, Some("priority"), &tokens, at(NOW))
                .unwrap();
            assert!(cost.usd.is_finite() && cost.usd > 1e11, "{cost:?}");
        }
    }
}

#[test]
fn counts_that_contradict_each_other_have_no_cost() {
    let written = |input, cached, cache_write| Tokens {
        input,
        cached,
        cache_write,
        ..Tokens::default()
    };
    let input = PriceError::Usage {
        part: "cached and cache write",
        whole: "input",
    };
    for tokens in [
        written(9, 10, 0),
        written(9, 5, 5),
        written(1, u64::MAX, u64::MAX),
    ] {
        assert_eq!(cost_of("gpt-5", None, &tokens), Err(input));
    }
    let cost = cost_of("gpt-5", None, &tokens(9, 0, 9, 10));
    assert_eq!(
        cost.unwrap_err().to_string(),
        "the answer counts more reasoning tokens than output tokens"
    );
}

#[test]
fn the_overlay_overrides_the_list() {
    let overlay = Overlay::parse("[prices.gpt-5]\ninput = 7\noutput = 9").unwrap();
    let prices = Prices::bundled().with_overlay(overlay);
    let million = tokens(1_000_000, 500_000, 1_000_000, 0);
    for model in ["gpt-5", "gpt-5-2025-08-07"] {
        assert_usd(prices.cost(model, None, &million, at(NOW)), 16.0);
    }
    // The list's price of a tier would belong to another standard price.
    let flex = prices.cost("gpt-5", Some("flex"), &million, at(NOW));
    assert_usd(flex, 16.0);
    assert!(flex.unwrap().estimated);
    assert_usd(
        prices.cost("gpt-5-mini", None, &million, at(NOW)),
        0.1375 + 2.0,
    );
}

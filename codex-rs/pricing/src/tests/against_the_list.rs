//! Each answer costs what the list of the crate says by a calculation of its own: whatever is kept between two answers,
//! and though OpenAI's part of that list is a copy.

use std::time::SystemTime;

use genai_prices::{Calculator, ErrorKind, PriceRequest, Usage, UsageKey};
use proptest::prelude::*;
use proptest::sample::select;

use super::{NOW, at};
use crate::{PriceError, Prices, Tokens};

/// What the list itself says, by one calculation for these very tokens.
fn list_price(model: &str, tier: &str, tokens: &Tokens, at: SystemTime) -> Result<f64, ErrorKind> {
    let usage = Usage::from([
        (UsageKey::INPUT_TOKENS, tokens.input as f64),
        (UsageKey::CACHE_READ_TOKENS, tokens.cached as f64),
        (UsageKey::CACHE_WRITE_TOKENS, tokens.cache_write as f64),
        (UsageKey::OUTPUT_TOKENS, tokens.output as f64),
        (UsageKey::OUTPUT_REASONING_TOKENS, tokens.reasoning as f64),
    ]);
    let request = PriceRequest::new(model, &usage)
        .with_provider_id("openai")
        .with_timestamp(at)
        .with_price_context("service_tier", tier);
    let price = Calculator::bundled().calculate(&request);
    price.map(|it| it.total_price).map_err(|it| it.kind())
}

fn listed_models() -> Vec<&'static str> {
    let openai = Calculator::bundled().find_provider(Some("openai"), None);
    openai
        .unwrap()
        .unwrap()
        .models()
        .map(|model| model.id())
        .collect()
}

prop_compose! {
    fn any_tokens()(
        input in prop_oneof![
            0..4_u64,
            271_990..272_010_u64,
            (0..48_u32, any::<u64>()).prop_map(|(bits, some)| some >> (63 - bits)),
        ],
        output in 0..200_000_u64,
    )(
        (cached, cache_write) in (0..=input, 0..=input)
            .prop_map(move |(cached, other)| (cached, other.min(input - cached))),
        reasoning in 0..=output,
        input in Just(input),
        output in Just(output),
    ) -> Tokens {
        Tokens { input, cached, cache_write, output, reasoning }
    }
}

/// Days on which prices change, and others.
const DAYS: [u64; 6] = [
    1_749_513_600,
    1_785_369_600,
    1_787_270_400,
    1_791_763_200,
    1_792_368_000,
    NOW,
];

/// The copy is that of the version in Cargo.lock: what it lacks would have no price, or the price of yesterday.
#[test]
fn the_copy_of_the_list_is_current() {
    const COPY: &str = include_str!("../openai.json");
    let copied: Vec<_> = Calculator::from_json(COPY)
        .unwrap()
        .providers()
        .flat_map(|provider| provider.models())
        .map(|model| model.id().to_owned())
        .collect();
    assert_eq!(
        copied,
        listed_models(),
        "scripts/price-list > codex-rs/pricing/src/openai.json"
    );

    let prices = Prices::bundled();
    let tokens = Tokens {
        input: 300_000,
        cached: 100_000,
        cache_write: 50_000,
        output: 1_000,
        reasoning: 0,
    };
    for model in copied {
        for day in DAYS {
            for tier in ["default", "flex", "priority"] {
                let (listed, cost) = (
                    list_price(&model, tier, &tokens, at(day)),
                    prices.cost(&model, Some(tier), &tokens, at(day)),
                );
                if let Ok(cost) = cost {
                    assert!(
                        (cost.usd - listed.unwrap()).abs() < 1e-9,
                        "{model} {tier} {day}: {cost:?} is not {listed:?}"
                    );
                }
            }
        }
    }
}

proptest! {
    /// One model at a time, so that most answers come from the cache, in any order of lengths and of minutes.
    #[test]
    fn costs_are_those_of_the_list(
        model in select(listed_models()),
        answers in prop::collection::vec(
            (
                select(vec!["default", "flex", "priority", "fast", "scale"]),
                any_tokens(),
                select(DAYS.to_vec()),
                select(vec![-61_i64, -1, 0, 0, 1, 59, 61]),
            ),
            1..24,
        ),
    ) {
        let prices = Prices::bundled();
        for (tier, tokens, day, seconds) in answers {
            let at = at(day.saturating_add_signed(seconds));
            let listed = list_price(model, tier, &tokens, at);
            match prices.cost(model, Some(tier), &tokens, at) {
                Ok(cost) => {
                    let listed = listed.unwrap();
                    let difference = (cost.usd - listed).abs();
                    prop_assert!(
                        difference <= 1e-14 * listed,
                        "{model} {tier} {tokens:?} {at:?}: {cost:?} is not {listed}"
                    );
                }
                // The list has nothing for the name, or something else than input and output is charged.
                Err(error) => {
                    prop_assert_eq!(error, PriceError::UnknownModel);
                    let is_free = matches!(listed, Ok(0.0) | Err(ErrorKind::ModelNotFound));
                    prop_assert!(is_free || model.contains("embedding"), "{model}: {listed:?}");
                }
            }
        }
    }
}

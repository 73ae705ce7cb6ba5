use super::*;

use crate::denied::DeniedCode;

const FREE: Under = Under {
    strict: false,
    spends: false,
    multi_agent: false,
};

const SPENDS: Under = Under {
    spends: true,
    ..FREE
};

fn facts() -> Facts {
    Facts {
        model: Some("gpt-5-mini".to_owned()),
        ..Facts::default()
    }
}

fn models() -> Rules {
    let models = ["gpt-5*", "o4-mini"].map(|glob| glob.parse().unwrap());
    Rules {
        models: Some(models.into()),
        ..Rules::default()
    }
}

#[track_caller]
fn allowed(rules: &Rules, facts: &Facts, under: Under) {
    assert_eq!(rules.check(facts, &under, "alice"), Ok(()));
}

#[track_caller]
fn denied(rules: &Rules, facts: &Facts, under: Under, message: &str) {
    let denied = rules.check(facts, &under, "alice").unwrap_err();
    assert_eq!(denied, Denied::request(message.to_owned()));
}

#[track_caller]
fn denied_model(rules: &Rules, facts: &Facts, message: &str) {
    let denied = rules.check(facts, &FREE, "alice").unwrap_err();
    assert_eq!(denied.message, message);
    assert_eq!(denied.code, DeniedCode::Model);
}

#[test]
fn a_model_has_to_match() {
    allowed(&models(), &facts(), SPENDS);
    let of = |model: &str| Facts {
        model: Some(model.to_owned()),
        ..Facts::default()
    };
    allowed(&Rules::default(), &of("gpt-4.1"), SPENDS);
    denied_model(
        &models(),
        &of("gpt-4.1"),
        "the model gpt-4.1 is not allowed for alice; allowed: gpt-5*, o4-mini",
    );
    denied_model(
        &models(),
        &of(&format!("\n{}", "x".repeat(200))),
        &format!(
            "the model \\n{}… is not allowed for alice; allowed: gpt-5*, o4-mini",
            "x".repeat(98)
        ),
    );
}

#[test]
fn only_a_prompt_that_is_allowed_stands_in_for_a_model() {
    let none = Facts::default();
    denied(&Rules::default(), &none, FREE, "model is missing");
    denied(&models(), &none, FREE, "model is missing");

    let prompt = Facts {
        prompt: true,
        ..Facts::default()
    };
    let rules = |prompt| Rules {
        prompt,
        ..Rules::default()
    };
    allowed(&rules(None), &prompt, FREE);
    allowed(&rules(Some(true)), &prompt, SPENDS);
    let message = "prompt is not allowed for alice";
    denied(&rules(Some(false)), &prompt, FREE, message);
    let message = "prompt is not allowed for alice under a limit in tokens or US dollars";
    denied(&rules(None), &prompt, SPENDS, message);

    let with_models = Rules {
        prompt: Some(true),
        ..models()
    };
    let message = "a request without a model is not allowed for alice; allowed: gpt-5*, o4-mini";
    denied_model(&with_models, &prompt, message);
    let both = Facts {
        prompt: true,
        ..facts()
    };
    allowed(&with_models, &both, SPENDS);
    allowed(&models(), &both, FREE);
}

#[test]
fn a_prompt_has_to_be_allowed_by_name_where_tools_are_restricted() {
    let facts = Facts {
        prompt: true,
        ..facts()
    };
    let rules = |prompt| Rules {
        prompt,
        tools: Some(vec!["function".to_owned()]),
        ..Rules::default()
    };
    let message = "prompt is not allowed for alice: a stored prompt can have tools that are not";
    denied(&rules(None), &facts, FREE, message);
    allowed(&rules(Some(true)), &facts, FREE);
}

#[test]
fn output_is_bounded_where_it_has_to_be() {
    let facts = |max_output_tokens| Facts {
        max_output_tokens,
        ..facts()
    };
    let rules = |max_output_tokens, require_max_output_tokens| Rules {
        max_output_tokens,
        require_max_output_tokens,
        ..Rules::default()
    };
    let most = rules(Some(32_000), false);
    allowed(&most, &facts(Some(32_000)), FREE);
    allowed(&most, &facts(None), FREE);
    let message = "max_output_tokens is 32001, and at most 32000 is allowed for alice";
    denied(&most, &facts(Some(32_001)), FREE, message);

    let message = "max_output_tokens is missing; it is required for alice, at most 32000";
    denied(&rules(Some(32_000), true), &facts(None), FREE, message);
    let message = "max_output_tokens is missing; it is required for alice";
    denied(&rules(None, true), &facts(None), FREE, message);
    allowed(&rules(None, true), &facts(Some(u64::MAX)), FREE);

    let strict = |spends| Under {
        strict: true,
        spends,
        ..FREE
    };
    let message =
        "max_output_tokens is missing; the limits for alice require it, as they are strict";
    denied(&most, &facts(None), strict(true), message);
    allowed(&most, &facts(None), strict(false));
    allowed(&most, &facts(Some(1)), strict(true));
    allowed(&most, &facts(None), SPENDS);
}

#[test]
fn a_tier_that_is_not_named_is_auto() {
    let facts = |tier: Option<&str>| Facts {
        service_tier: tier.map(str::to_owned),
        ..facts()
    };
    let rules = |tiers: &[&str]| Rules {
        service_tiers: Some(tiers.iter().map(|&tier| tier.to_owned()).collect()),
        ..Rules::default()
    };
    allowed(&rules(&["default", "auto"]), &facts(None), FREE);
    allowed(&rules(&["default"]), &facts(Some("default")), FREE);
    let message =
        "a request without service_tier, which is auto, is not allowed for alice; allowed: default";
    denied(&rules(&["default"]), &facts(None), FREE, message);
    let message = "the service_tier priority is not allowed for alice; allowed: default, auto";
    let priority = facts(Some("priority"));
    denied(&rules(&["default", "auto"]), &priority, FREE, message);
    allowed(&Rules::default(), &priority, FREE);
}

#[test]
fn every_tool_has_to_be_allowed() {
    let facts = |tools: &[&str]| Facts {
        tools: tools.iter().map(|&tool| tool.to_owned()).collect(),
        ..facts()
    };
    let rules = Rules {
        tools: Some(vec!["function".to_owned(), "custom".to_owned()]),
        ..Rules::default()
    };
    allowed(&rules, &facts(&[]), FREE);
    allowed(&rules, &facts(&["custom", "function"]), FREE);
    let message = "the tool web_search is not allowed for alice; allowed: function, custom";
    denied(&rules, &facts(&["custom", "web_search"]), FREE, message);
    allowed(&Rules::default(), &facts(&["web_search"]), SPENDS);
}

#[test]
fn what_has_no_known_cost_has_to_be_allowed_by_name_under_a_limit() {
    type Shape = (
        &'static str,
        fn(&mut Facts, &mut Under),
        fn(&mut Rules, bool),
    );
    let shapes: [Shape; 5] = [
        (
            "background",
            |it, _| it.background = true,
            |it, is| it.background = Some(is),
        ),
        (
            "previous_response_id",
            |it, _| it.previous_response_id = true,
            |it, is| it.previous_response_id = Some(is),
        ),
        (
            "conversation",
            |it, _| it.conversation = true,
            |it, is| it.conversation = Some(is),
        ),
        (
            "prompt",
            |it, _| it.prompt = true,
            |it, is| it.prompt = Some(is),
        ),
        (
            "multi_agent",
            |_, it| it.multi_agent = true,
            |it, is| it.multi_agent = Some(is),
        ),
    ];
    for (key, ask, rule) in shapes {
        for spends in [false, true] {
            let (mut asked, mut under) = (facts(), Under { spends, ..FREE });
            ask(&mut asked, &mut under);
            let mut rules = Rules::default();
            if spends {
                let message =
                    format!("{key} is not allowed for alice under a limit in tokens or US dollars");
                denied(&rules, &asked, under, &message);
            } else {
                allowed(&rules, &asked, under);
            }
            rule(&mut rules, true);
            allowed(&rules, &asked, under);
            rule(&mut rules, false);
            denied(
                &rules,
                &asked,
                under,
                &format!("{key} is not allowed for alice"),
            );
            allowed(&rules, &facts(), Under { spends, ..FREE });
        }
    }
}

#[test]
fn a_request_that_does_not_say_is_stored() {
    let facts = |store| Facts { store, ..facts() };
    let rules = |store| Rules {
        store,
        ..Rules::default()
    };
    for store in [None, Some(true), Some(false)] {
        allowed(&rules(None), &facts(store), FREE);
        allowed(&rules(Some(true)), &facts(store), FREE);
    }
    allowed(&rules(Some(false)), &facts(Some(false)), FREE);
    for store in [None, Some(true)] {
        let message = "store has to be false for alice";
        denied(&rules(Some(false)), &facts(store), FREE, message);
    }
}

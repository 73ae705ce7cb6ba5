use super::*;

fn used(input: u64, cached: u64, output: u64) -> Used {
    Used {
        input,
        cached,
        output,
        ..Used::default()
    }
}

#[test]
fn tokens_that_do_not_show_are_learned() {
    let estimator = Estimator::new();
    let shown = Shown {
        deltas: 100,
        bytes: 300,
    };
    assert_eq!(shown.output(estimator.hidden("a", "gpt-5")), 100);
    for _ in 0..64 {
        let used = Used {
            shown,
            ..used(1_000, 0, 400)
        };
        estimator.learn("a", "gpt-5", 3_500, used);
    }
    let half = Shown {
        deltas: 50,
        bytes: 150,
    };
    assert_eq!(half.output(estimator.hidden("a", "gpt-5")), 200);
    // What one account has learned is not for another one.
    assert_eq!(half.output(estimator.hidden("b", "gpt-5")), 50);
    let few_and_long = Shown {
        deltas: 1,
        bytes: 4_000,
    };
    assert_eq!(few_and_long.output(estimator.hidden("b", "other")), 1_000);
}

#[test]
fn answers_that_show_little_do_not_make_one_that_shows_much_dear() {
    let estimator = Estimator::new();
    let shown = |deltas| Shown { deltas, bytes: 0 };
    // A call of a tool after much reasoning.
    for _ in 0..2 {
        let used = Used {
            shown: shown(10),
            ..used(1_000, 0, 3_000)
        };
        estimator.learn("a", "gpt-5", 3_500, used);
    }
    let hidden = estimator.hidden("a", "gpt-5");
    assert!((3_000..=4_000).contains(&shown(3_000).output(hidden)));
    assert!((400..=1_500).contains(&shown(400).output(hidden)));
}

#[test]
fn what_one_request_was_padded_with_is_not_expected_of_the_next() {
    let estimator = Estimator::new();
    let truth = 100_000;
    estimator.learn("a", "gpt-5", 70_000, used(10, 0, 1));
    let after_one = expected(&estimator, "a", 350_000, None).input;
    assert!(after_one > truth * 4 / 5, "{after_one}");
    for _ in 0..1_000 {
        estimator.learn("a", "gpt-5", 70_000, used(1_100, 1_090, 1));
    }
    let after_many = expected(&estimator, "a", 350_000, None);
    assert!(after_many.input > truth * 2 / 5, "{after_many:?}");
    // Of input that was never sent nothing is cached.
    assert_eq!(after_many.cached, 1_100);
}

fn expected(estimator: &Estimator, account: &str, bytes: u64, most: Option<u64>) -> Estimate {
    estimator.estimate(account, "gpt-5", streamed(bytes, most), Mode::Expected)
}

fn streamed(bytes: u64, max_output_tokens: Option<u64>) -> Asked {
    Asked {
        bytes,
        max_output_tokens,
        is_streamed: true,
    }
}

#[test]
fn an_answer_that_does_not_show_is_not_expected_to_be_short() {
    let estimator = Estimator::new();
    for _ in 0..100 {
        estimator.learn("a", "gpt-5", 100, used(30, 0, 1));
    }
    assert_eq!(expected(&estimator, "a", 100, None).output, 1);
    let unseen = |max_output_tokens| {
        let asked = Asked {
            is_streamed: false,
            ..streamed(100, max_output_tokens)
        };
        estimator
            .estimate("a", "gpt-5", asked, Mode::Expected)
            .output
    };
    assert_eq!((unseen(None), unseen(Some(50))), (UNSEEN_OUTPUT, 50));
}

#[test]
fn before_anything_is_learned_a_token_is_three_and_a_half_bytes_and_an_answer_1024() {
    let estimator = Estimator::new();
    assert_eq!(
        expected(&estimator, "a", 3500, None),
        Estimate {
            input: 1000,
            cached: 0,
            output: 1024
        }
    );
    assert_eq!(expected(&estimator, "a", 3500, Some(10)).output, 10);
}

#[test]
fn strict_is_the_worst_case() {
    let estimator = Estimator::new();
    estimator.learn("a", "gpt-5", 100, used(10, 10, 1));
    let strict = |most| estimator.estimate("a", "gpt-5", streamed(100, most), Mode::Strict);
    assert_eq!(
        strict(Some(7)),
        Estimate {
            input: 100,
            cached: 0,
            output: 7
        }
    );
    assert_eq!(strict(None).output, u64::MAX);
}

#[test]
fn an_account_learns_its_own_habits_and_nobody_else_s() {
    let estimator = Estimator::new();
    for output in 1..=100 {
        estimator.learn("a", "gpt-5", 8000, used(1000, 500, output));
    }
    let own = expected(&estimator, "a", 8000, None);
    assert!((1000..=1001).contains(&own.input), "{own:?}");
    assert_eq!(own.cached, 499.max(own.cached), "{own:?}");
    assert_eq!(own.output, 97, "the 61st of those from 37 to 100");
    let other = expected(&estimator, "b", 8000, None);
    assert_eq!((other.output, other.cached), (FIRST_OUTPUT, 0));
    let of_another_model = estimator.estimate("a", "o4", streamed(8000, None), Mode::Expected);
    assert_eq!(of_another_model.output, FIRST_OUTPUT);
}

#[test]
fn one_answer_without_a_cache_makes_the_estimate_cautious_at_once() {
    let estimator = Estimator::new();
    for _ in 0..50 {
        estimator.learn("a", "gpt-5", 3500, used(1000, 900, 1));
    }
    assert!(expected(&estimator, "a", 3500, None).cached > 800);
    estimator.learn("a", "gpt-5", 3500, used(1000, 0, 1));
    assert_eq!(expected(&estimator, "a", 3500, None).cached, 0);
}

#[test]
fn the_first_answers_do_not_lower_the_estimate_but_may_raise_it() {
    let estimator = Estimator::new();
    estimator.learn("a", "gpt-5", 1, used(1, 0, 5));
    assert_eq!(expected(&estimator, "a", 1, None).output, 1024);
    estimator.learn("a", "gpt-5", 1, used(1, 0, 20_000));
    assert_eq!(expected(&estimator, "a", 1, None).output, 20_000);
}

#[test]
fn ratios_stay_within_bounds_and_nothing_overflows() {
    let estimator = Estimator::new();
    for _ in 0..100 {
        estimator.learn("a", "gpt-5", u64::MAX, used(1, u64::MAX, u64::MAX));
        estimator.learn("b", "gpt-5", 0, used(u64::MAX, 0, 0));
        estimator.learn("c", "gpt-5", 1, used(0, 1, 0));
    }
    assert_eq!(expected(&estimator, "a", 2000, None).input, 251);
    assert_eq!(expected(&estimator, "b", 2000, None).input, 2000);
    let most = expected(&estimator, "b", u64::MAX, None);
    assert!(most.cached <= most.input);
}

#[test]
fn memory_is_bounded_and_the_least_recently_used_goes() {
    let estimator = Estimator::new();
    estimator.learn("kept", "gpt-5", 2000, used(1000, 0, 1));
    estimator.learn("gone", "gpt-5", 2000, used(1000, 0, 1));
    for number in 0..MOST_PAIRS {
        estimator.learn(&number.to_string(), "gpt-5", 1, used(1, 0, 1));
        expected(&estimator, "kept", 1, None);
    }
    let learned = estimator.0.lock().unwrap();
    let pairs: usize = learned.accounts.values().map(HashMap::len).sum();
    assert_eq!((pairs, learned.pairs), (MOST_PAIRS, MOST_PAIRS));
    assert!(learned.get("kept", "gpt-5").is_some());
    assert!(!learned.accounts.contains_key("gone"));
}

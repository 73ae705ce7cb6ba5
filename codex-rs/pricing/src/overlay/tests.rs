use super::*;

const STANDARD: Tier<'_> = Tier::Standard;

fn rates(input: f64, cached: f64, cache_write: f64, output: f64) -> Rates {
    Rates {
        input,
        cached,
        cache_write,
        output,
    }
}

#[test]
fn a_file_says_what_models_and_tiers_cost() {
    let overlay = Overlay::parse(
        "[prices.\"my-model\"]\n\
         input = 1_000\n\
         cached_input = 0.125\n\
         cache_write = 2.5\n\
         output = 1e1\n\
         [prices.\"my-model\".tiers.flex]\n\
         input = 0.5\n\
         output = 0\n\
         [prices]\n\
         free = { input = 0, output = 0.0 }\n",
    )
    .unwrap();
    let quote = |model, tier| {
        overlay
            .quote(model, tier)
            .map(|it| (it.rates, it.estimated))
    };
    let standard = rates(1000.0, 0.125, 2.5, 10.0);
    assert_eq!(quote("my-model", STANDARD), Some((standard, false)));
    assert_eq!(quote("my-model", Tier::Auto), Some((standard, true)));
    assert_eq!(
        quote("my-model", Tier::Named("priority")),
        Some((standard, true))
    );
    let flex = rates(0.5, 0.5, 0.5, 0.0);
    assert_eq!(quote("my-model", Tier::Named("flex")), Some((flex, false)));
    assert_eq!(
        quote("free", STANDARD),
        Some((rates(0.0, 0.0, 0.0, 0.0), false))
    );
    assert_eq!(quote("other", STANDARD), None);
    assert_eq!(quote("My-Model", STANDARD), None);
}

#[test]
fn a_table_is_for_the_dated_snapshots_too() {
    let overlay = Overlay::parse(
        "[prices.my-model]\ninput = 1\noutput = 2\n\
         [prices.my-model-2026-01-01]\ninput = 3\noutput = 4\n",
    )
    .unwrap();
    let input = |model| {
        overlay
            .quote(model, STANDARD)
            .map(|quote| quote.rates.input)
    };
    assert_eq!(input("my-model-2026-02-02"), Some(1.0));
    assert_eq!(input("my-model-2026-01-01"), Some(3.0));
    assert_eq!(input("my-model-mini"), None);
    assert_eq!(input("my-model-mini-2026-02-02"), None);
}

#[test]
fn an_empty_file_has_no_prices() {
    assert_eq!(Overlay::parse("# nothing yet\n"), Ok(Overlay::default()));
}

#[test]
fn a_mistake_is_named_with_its_line_and_key() {
    let price = "has to be a price from 0 to 1000000, in US dollars per million tokens";
    let number = "has to be a decimal number, as in 1.25";
    let mut cases = vec![
        (
            "\n[price.m]".to_owned(),
            2,
            "price",
            "is not known; only tables [prices.\"MODEL\"] are",
        ),
        ("prices = 5".to_owned(), 1, "prices", "has to be a table"),
        (
            "[prices]\nm = 5".to_owned(),
            2,
            "prices.m",
            "has to be a table",
        ),
        (
            "[prices.m]\ninput = 1\noutput = 1\ninptu = 1".to_owned(),
            4,
            "prices.m.inptu",
            UNKNOWN,
        ),
        (
            "[prices.m]\noutput = 1\ntiers = 1".to_owned(),
            3,
            "prices.m.tiers",
            "has to be a table",
        ),
        (
            "\n\n[prices.'m 1']\ninput = 1".to_owned(),
            3,
            "prices.\"m 1\"",
            "has no output, in US dollars per million tokens",
        ),
        (
            "[prices.\"\\u001b\"]\noutput = 1".to_owned(),
            1,
            "prices.\"\\u{1b}\"",
            "has no input, in US dollars per million tokens",
        ),
        (
            "[prices.m]\ninput = 1\noutput = 1\n[prices.m.tiers.flex]\ntiers = {}".to_owned(),
            5,
            "prices.m.tiers.flex.tiers",
            UNKNOWN,
        ),
        (
            "[prices.m]\ninput = 1\noutput = 1\n[prices.m.tiers.flex]\noutput = 1".to_owned(),
            4,
            "prices.m.tiers.flex",
            "has no input, in US dollars per million tokens",
        ),
    ];
    for tier in ["default", "standard", "auto"] {
        let text = format!("[prices.m.tiers]\n{tier} = {{ input = 1, output = 1 }}");
        let what = "has no price of its own; the standard one is the model's";
        let key: &str = Box::leak(format!("prices.m.tiers.{tier}").into_boxed_str());
        cases.push((text, 2, key, what));
    }
    for (value, what) in [
        ("-1", price),
        ("-0.0", price),
        ("inf", price),
        ("nan", price),
        ("1e400", price),
        ("1000000.1", price),
        ("99999999999999999999999", price),
        ("\"1\"", number),
        ("true", number),
        ("0x10", number),
        ("[1]", number),
        ("1979-05-27", number),
    ] {
        cases.push((
            format!("[prices.m]\ninput = {value}"),
            2,
            "prices.m.input",
            what,
        ));
    }
    for (text, line, key, what) in cases {
        let expected = OverlayError {
            line,
            key: Some(key.to_owned()),
            what: what.to_owned(),
        };
        assert_eq!(Overlay::parse(&text), Err(expected), "{text}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_named_with_its_line() {
    for (text, line) in [
        ("[prices.m]\ninput = 1\ninput = 2\noutput = 1", 3),
        ("[prices.m]\n\ninput 1", 3),
        ("[prices.m]\ninput =", 2),
    ] {
        let error = Overlay::parse(text).unwrap_err();
        assert_eq!((error.line, &error.key), (line, &None), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")));
    }
}

#[test]
fn an_error_says_line_key_and_reason() {
    let error = Overlay::parse("[prices.m]\ninput = -1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2: prices.m.input: has to be a price from 0 to 1000000, in US dollars per million tokens"
    );
}

use super::*;

use proptest::prelude::*;

fn rolling(seconds: u64) -> Window {
    Window::Rolling(Duration::from_secs(seconds))
}

#[test]
fn a_limit_is_a_measure_a_number_and_a_window() {
    for (text, measure, most, window) in [
        ("usd=20/day", Measure::Usd, 20_000_000_000, Window::Day),
        ("usd=0.1/hour", Measure::Usd, 100_000_000, Window::Hour),
        ("usd=1e-9/process", Measure::Usd, 1, Window::Process),
        ("usd=9_000_000_000/month", Measure::Usd, MOST, Window::Month),
        ("requests=60/minute", Measure::Requests, 60, Window::Minute),
        (
            "tokens=5_000_000/24h",
            Measure::Tokens,
            5_000_000,
            rolling(86_400),
        ),
    ] {
        let limit = Limit {
            measure,
            most,
            window,
        };
        assert_eq!(parse_limit(text), Ok(limit), "{text}");
    }
}

#[test]
fn a_time_is_a_window_that_rolls() {
    for (per, seconds) in [
        ("1s", 1),
        ("45s", 45),
        ("90m", 5_400),
        ("7d", 604_800),
        ("400d", LONGEST),
        ("9600h", LONGEST),
    ] {
        assert_eq!(window(per), Some(rolling(seconds)), "{per}");
    }
    for per in [
        "",
        "s",
        "0s",
        "1",
        "+1s",
        "-1s",
        "1.5h",
        "1w",
        "1H",
        " 1s",
        "1s ",
        "1é",
        "é",
        "401d",
        "34560001s",
        "99999999999999999999s",
        "999999999999999999d",
        "Day",
        "days",
    ] {
        assert_eq!(window(per), None, "{per:?}");
    }
}

#[test]
fn anything_else_is_an_error_that_says_what_is_wrong() {
    for (text, what) in [
        ("usd", "has to be MEASURE=NUMBER/WINDOW, as in usd=20/day"),
        ("eur=20/day", "has to start with usd=, tokens= or requests="),
        ("usd=20", "has no window, such as /day at its end"),
        ("usd=20/week", WINDOWS),
        ("usd=0/day", number_of(Measure::Usd)),
        ("usd=-1/day", number_of(Measure::Usd)),
        ("usd=nan/day", number_of(Measure::Usd)),
        ("usd=inf/day", number_of(Measure::Usd)),
        ("usd=1e-10/day", number_of(Measure::Usd)),
        ("usd=9000000001/day", number_of(Measure::Usd)),
        ("usd=$20/day", number_of(Measure::Usd)),
        ("usd= 20 /day", number_of(Measure::Usd)),
        ("usd=20#/day", number_of(Measure::Usd)),
        ("usd=/day", number_of(Measure::Usd)),
        ("requests=0/day", number_of(Measure::Requests)),
        ("requests=1.0/day", number_of(Measure::Requests)),
        ("tokens=0x10/day", number_of(Measure::Tokens)),
        ("tokens=9000000000000000001/day", number_of(Measure::Tokens)),
    ] {
        let error = parse_limit(text).unwrap_err();
        assert_eq!(error.to_string(), format!("{text}: {what}"));
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "((usd|tokens|requests)=)?[0-9a-z_.+-]{0,12}/?\\PC{0,6}") {
        if let Ok(limit) = parse_limit(&text) {
            prop_assert!((1..=MOST).contains(&limit.most));
        }
    }

    #[test]
    fn cents_are_exact(cents in 1_u64..100_000_000) {
        let limit = parse_limit(&format!("usd={}.{:02}/day", cents / 100, cents % 100)).unwrap();
        prop_assert_eq!(limit.most, cents * 10_000_000);
    }
}

use super::*;

use std::time::Duration;

use codex_ledger::Measure;
use proptest::prelude::*;

/// Where alice is 1001, alicia too, and the group agents has one member.
struct Machine;

impl Names for Machine {
    fn user(&self, name: &str) -> Option<u32> {
        matches!(name, "alice" | "alicia").then_some(1001)
    }

    fn group(&self, name: &str) -> Option<Vec<u32>> {
        matches!(name, "agents" | "a/b").then(|| vec![1003])
    }
}

#[track_caller]
fn error(text: &str, line: usize, key: &str, what: &str) {
    let error = parse(text, &Machine).unwrap_err();
    assert_eq!(error.to_string(), format!("line {line}: {key}: {what}"));
}

#[test]
fn a_file_says_what_callers_may_do() {
    let policy = parse(
        r#"
        [everyone]                      # for callers that no other table names
        models = ["gpt-5*", "o4-mini"]
        max_output_tokens = 32_000
        require_max_output_tokens = true
        service_tiers = ["default", "auto"]
        tools = ["function", "web_search"]
        background = false
        previous_response_id = true
        conversation = false
        prompt = true
        multi_agent = false
        store = false
        concurrent = 8
        each_caller = true
        [[everyone.limits]]
        requests = 60
        per = "minute"
        [[everyone.limits]]
        usd = 20.0
        per = "24h"
        "#,
        &Machine,
    )
    .unwrap();
    let table = policy.everyone.unwrap();
    assert!(table.each_caller);
    let rules = &table.rules;
    let models = ["gpt-5*", "o4-mini"].map(|model| model.parse().unwrap());
    assert_eq!(rules.models.as_deref(), Some(&models[..]));
    assert_eq!(rules.max_output_tokens, Some(32_000));
    assert!(rules.require_max_output_tokens);
    let tiers = ["default", "auto"].map(str::to_owned);
    assert_eq!(rules.service_tiers.as_deref(), Some(&tiers[..]));
    let tools = ["function", "web_search"].map(str::to_owned);
    assert_eq!(rules.tools.as_deref(), Some(&tools[..]));
    assert_eq!(rules.background, Some(false));
    assert_eq!(rules.previous_response_id, Some(true));
    assert_eq!(rules.conversation, Some(false));
    assert_eq!(rules.prompt, Some(true));
    assert_eq!(rules.multi_agent, Some(false));
    assert_eq!(rules.store, Some(false));
    assert_eq!(rules.concurrent, Some(8));
    let limits = [
        Limit {
            measure: Measure::Requests,
            most: 60,
            window: Window::Minute,
        },
        Limit {
            measure: Measure::Usd,
            most: 20_000_000_000,
            window: Window::Rolling(Duration::from_secs(86_400)),
        },
    ];
    assert_eq!(rules.limits.as_ref(), limits);
}

#[test]
fn what_is_not_toml_or_says_nothing_is_an_error() {
    let broken = parse("[everyone]\nmodels = [\n", &Machine).unwrap_err();
    assert_eq!((broken.line, broken.key), (2, None));
    let empty = parse("# nothing yet\n", &Machine).unwrap_err();
    let expected = "line 1: the policy is empty; to allow everything, write [everyone]";
    assert_eq!(empty.to_string(), expected);
}

#[test]
fn unknown_keys_are_errors() {
    let what = "is not known; everyone, user, group, token, total and prices are";
    error("[everyone]\n[anyone]\n", 2, "anyone", what);
    error("[everyone]\nmodel = 1\n", 2, "everyone.model", UNKNOWN);
    let what = "is not known here; limits and concurrent are";
    error("[total]\nmodels = [\"a\"]\n", 2, "total.models", what);
    let what = "is for [everyone] and [group.NAME] only";
    error(
        "[user.alice]\neach_caller = true\n",
        2,
        "user.alice.each_caller",
        what,
    );
    error(
        "[token.ci]\neach_caller = true\n",
        2,
        "token.ci.each_caller",
        what,
    );
    let what = "is not known; requests, tokens, usd and per are";
    let text = "[[everyone.limits]]\nrequests = 1\nper = \"day\"\nmax = 3\n";
    error(text, 4, "everyone.limits.max", what);
}

#[test]
fn the_first_error_of_the_file_is_told() {
    let text = "[everyone]\nstore = 1\nbackground = 1\n";
    error(text, 2, "everyone.store", "has to be true or false");
}

#[test]
fn values_of_the_wrong_type_are_errors() {
    for (line, what) in [
        ("store = \"false\"", "has to be true or false"),
        (
            "concurrent = 0",
            "has to be an integer from 1 to 4294967295",
        ),
        (
            "concurrent = 4294967296",
            "has to be an integer from 1 to 4294967295",
        ),
        (
            "max_output_tokens = -1",
            "has to be an integer from 1 to 18446744073709551615",
        ),
        (
            "tools = []",
            "may not be empty; without it, nothing is restricted",
        ),
        (
            "tools = \"function\"",
            "has to be an array of strings, not empty ones, and of one at least",
        ),
        (
            "service_tiers = [\"auto\", \"\"]",
            "has to be an array of strings, not empty ones, and of one at least",
        ),
        (
            "models = [\"a[b]\"]",
            "a pattern of models may not contain `[`; only `*` and `?` are special",
        ),
        (
            "limits = 3",
            "has to be an array of tables, each with its [[…limits]]",
        ),
    ] {
        let key = line.split(' ').next().unwrap();
        error(
            &format!("[everyone]\n{line}\n"),
            2,
            &format!("everyone.{key}"),
            what,
        );
    }
    error("user = 1\n", 1, "user", "has to be a table");
    error("everyone = []\n", 1, "everyone", "has to be a table");
    error("[user]\nalice = 1\n", 2, "user.alice", "has to be a table");
}

#[test]
fn an_element_of_an_array_has_its_own_line() {
    let what = "has to be an array of strings, not empty ones, and of one at least";
    let text = "[everyone]\ntools = [\n  \"function\",\n  3,\n]\n";
    error(text, 4, "everyone.tools", what);
}

#[test]
fn callers_have_to_exist_and_be_named_once() {
    let what = "there is no such user on this machine";
    error("[user.mallory]\n", 1, "user.mallory", what);
    error("[user.4294967295]\n", 1, "user.4294967295", what);
    error("[user.4294967296]\n", 1, "user.4294967296", what);
    error("[user.\"\"]\n", 1, "user.\"\"", what);
    let what = "there is no such group on this machine";
    error("[group.admins]\n", 1, "group.admins", what);
    error("[group.\"a/b\"]\n", 1, "group.\"a/b\"", what);
    let what = "cannot be the name of a client token; those are of A-Z, a-z, 0-9, -, _, . and @";
    error("[token.\"a b\"]\n", 1, "token.\"a b\"", what);
    let what = "the user 1001 has a table above already, by another name";
    error("[user.alice]\n[user.1001]\n", 2, "user.1001", what);
    error("[user.1001]\n[user.alicia]\n", 2, "user.alicia", what);
    error("[user.1001]\n[user.01001]\n", 2, "user.01001", what);
    error("[user]\n", 1, "user", "is empty; write a table [user.NAME]");
}

#[test]
fn a_limit_is_one_measure_and_a_window() {
    let limits = |inside: &str| format!("[everyone]\n\n[[everyone.limits]]\n{inside}\n");
    for (inside, line, key, what) in [
        ("requests = 1", 3, "", "has no per, such as \"day\""),
        (
            "per = \"day\"",
            3,
            "",
            "has none of requests, tokens and usd",
        ),
        (
            "usd = 1\ntokens = 1\nper = \"day\"",
            5,
            ".tokens",
            "may not stand beside another measure; write a table for each",
        ),
        ("usd = 1\nper = \"week\"", 5, ".per", WINDOWS),
        ("usd = 1\nper = 60", 5, ".per", WINDOWS),
        (
            "usd = \"1\"",
            4,
            ".usd",
            "has to be a number of US dollars from 0.000000001 to 9000000000, as in 20 or 2.50",
        ),
        (
            "usd = 1\nper = \"24h\"\n[[everyone.limits]]\nusd = 2\nper = \"1d\"",
            6,
            "",
            "there is a limit of this measure and window above already",
        ),
    ] {
        error(
            &limits(inside),
            line,
            &format!("everyone.limits{key}"),
            what,
        );
    }
    // Limits differ by either.
    let three = "usd = 1\nper = \"day\"\n[[everyone.limits]]\nusd = 2\nper = \"month\"\n\
                 [[everyone.limits]]\nrequests = 1\nper = \"day\"";
    let policy = parse(&limits(three), &Machine).unwrap();
    assert_eq!(policy.limits().len(), 3);
}

#[test]
fn prices_have_the_lines_of_the_whole_file() {
    let what = "is not known; input, cached_input, cache_write, output and tiers are";
    error(
        "[everyone]\n[prices.\"a.b\"]\nin = 1\n",
        3,
        "prices.\"a.b\".in",
        what,
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = parse(&text, &Machine);
    }

    #[test]
    fn nothing_like_a_policy_makes_it_panic(
        lines in proptest::collection::vec(
            (
                "(\\[?\\[(everyone|total|user|user\\.alice|user\\.[0-9]{1,12}|group\\.agents|token\\.ci\
                 |prices\\.a)(\\.limits|\\.tiers\\.b)?\\]?\\]\n)?",
                "((models|tools|limits|usd|tokens|requests|per|store|concurrent|each_caller|input|output) = )?",
                "([-+]?[0-9_.e]{1,25}|\\[?\"[a-z0-9*{]{0,5}\"\\]?|true|nan|-inf|\\{\\}|\\[\\]|\\[{1,300})?",
            ),
            0..8,
        )
    ) {
        let lines = lines.iter().map(|(header, key, value)| format!("{header}{key}{value}\n"));
        let text: String = lines.collect();
        if let Err(error) = parse(&text, &Machine) {
            prop_assert!((1..=text.matches('\n').count() + 1).contains(&error.line));
        }
    }
}

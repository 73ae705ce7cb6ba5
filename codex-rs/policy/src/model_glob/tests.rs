use super::*;

use proptest::prelude::*;

fn glob(pattern: &str) -> ModelGlob {
    pattern.parse().unwrap()
}

/// By the definition, in exponential time.
fn naive(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', after @ ..], _) => (0..=name.len()).any(|at| naive(after, &name[at..])),
        (['?', after @ ..], [_, rest @ ..]) => naive(after, rest),
        ([want, after @ ..], [found, rest @ ..]) if want == found => naive(after, rest),
        _ => false,
    }
}

#[test]
fn a_pattern_is_for_the_whole_name() {
    assert!(glob("gpt-5").matches("gpt-5"));
    assert!(!glob("gpt-5").matches("gpt-5-mini"));
    assert!(!glob("gpt-5").matches("my-gpt-5"));
    assert!(!glob("gpt-5").matches("GPT-5"));
    assert!(glob("gpt-5*").matches("gpt-5"));
    assert!(glob("gpt-5*").matches("gpt-5-mini\n"));
    assert!(glob("*-mini*").matches("o4-mini-2025-04-16"));
    assert!(!glob("*-mini").matches("o4-mini-2025-04-16"));
    assert!(glob("o?").matches("oé"));
    assert!(!glob("o?").matches("o"));
    assert!(!glob("o?").matches("o34"));
}

#[test]
fn other_patterns_are_errors() {
    for (pattern, error) in [
        ("", GlobError::Empty),
        ("gpt-[45]", GlobError::Special('[')),
        ("{a,b}", GlobError::Special('{')),
        ("a\\*", GlobError::Special('\\')),
    ] {
        assert_eq!(pattern.parse::<ModelGlob>(), Err(error), "{pattern}");
    }
    assert!("é".repeat(200).parse::<ModelGlob>().is_ok());
    let long = "é".repeat(201);
    assert_eq!(long.parse::<ModelGlob>(), Err(GlobError::Long));
}

#[test]
fn many_stars_do_not_make_it_slow() {
    // The naive way would try some 10^100 ways.
    let pattern = glob(&format!("{}b", "*a".repeat(99)));
    assert!(!pattern.matches(&"a".repeat(100_000)));
}

proptest! {
    #[test]
    fn it_matches_as_by_the_definition(pattern in "[ab?*é]{1,8}", name in "[ab*é]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = naive(&chars(&pattern), &chars(&name));
        prop_assert_eq!(glob(&pattern).matches(&name), expected);
    }
}

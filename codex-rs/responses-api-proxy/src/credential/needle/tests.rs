use super::*;

use proptest::prelude::*;

const KEY: &[u8] = b"sk-test-abcabcabd-0123456789";
fn needle(key: &[u8]) -> Needle {
    Needle::with_numbers_for_tests(key)
}

/// Overlaps itself.
const PERIODIC: &[u8] = b"abcabcabcabca";

/// The same, in the plainest way.
fn find_plainly(text: &[u8], key: &[u8], case: Case) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, window) in text.windows(key.len()).enumerate() {
        let is_key = match case {
            Case::Exact => window == key,
            Case::Ignored => window.eq_ignore_ascii_case(key),
        };
        match found.last_mut() {
            Some(last) if is_key && last.end >= at => last.end = at + key.len(),
            _ if is_key => found.push(at..at + key.len()),
            _ => {}
        }
    }
    found
}

#[test]
fn a_key_is_found_at_every_place_of_every_run() {
    let needle = needle(KEY);
    for before in (0..300).step_by(7).chain(0..10) {
        for after in (0..300).step_by(11) {
            let text = [&b".aaaaaaaaaaa"[..], &vec![b'x'; before], KEY].concat();
            let text = [text, vec![b'y'; after], vec![b'.'; after % 3]].concat();
            let expected = 12 + before..12 + before + KEY.len();
            assert_eq!(needle.find(&text, Case::Exact), [expected]);
        }
    }
}

#[test]
fn keys_that_overlap_or_touch_are_one_place() {
    let needle = needle(PERIODIC);
    let one = needle.find(b"abcabcabcabcabca", Case::Exact);
    assert_eq!(one.first(), Some(&(0..16)));
    assert_eq!(one.len(), 1);
    let twice = [PERIODIC, PERIODIC, b".", PERIODIC].concat();
    assert_eq!(needle.find(&twice, Case::Exact), [0..26, 27..40]);
}

#[test]
fn one_byte_less_or_another_byte_is_not_the_key() {
    let needle = needle(KEY);
    for at in 0..KEY.len() {
        let mut text = KEY.to_vec();
        text[at] = if text[at] == b'z' { b'y' } else { b'z' };
        assert!(!needle.is_in(&text, Case::Exact) && !needle.is_in(&text, Case::Ignored));
        text.remove(at);
        assert!(!needle.is_in(&text, Case::Ignored));
    }
    let upper = KEY.to_ascii_uppercase();
    assert!(needle.is_in(&upper, Case::Ignored) && !needle.is_in(&upper, Case::Exact));
    // These differ in the bit that upper and lower case differ in.
    let mut bracket = KEY.to_vec();
    bracket[2] = b'-' ^ 0x20;
    assert!(!needle.is_in(&bracket, Case::Ignored));
}

#[test]
fn a_key_too_short_to_be_told_from_text_is_not_looked_for() {
    for key in [&b""[..], b"k", b"sk-test", b"sk-test-012"] {
        let needle = needle(key);
        assert!(needle.is_empty() && !needle.is_in(b"k sk-test-012", Case::Exact));
        assert_eq!(needle.open_end(b"sk-test"), 0);
    }
    assert!(needle(b"sk-test-0123").is_in(b"sk-test-0123", Case::Exact));
}

/// Places are looked at by the prefix then, the case of letters aside.
#[test]
fn a_key_with_the_public_prefix_is_found_among_prefixes_that_begin_none() {
    let needle = needle(KEY);
    for (before, between) in [(0, 0), (1, 3), (7, 14), (40, 13), (3, 500)] {
        let text = [
            &b"sk-".repeat(before)[..],
            KEY,
            &b"-sk-"[..between.min(4)],
            &vec![b's'; between],
            KEY,
            b"sk-test-abcabcabd-012345678",
        ]
        .concat();
        assert_eq!(
            needle.find(&text, Case::Exact),
            find_plainly(&text, KEY, Case::Exact)
        );
        assert_eq!(
            needle.find(&text, Case::Exact).first().unwrap().start,
            3 * before
        );
    }
}

#[test]
fn an_open_end_is_a_run_of_key_bytes_shorter_than_the_key() {
    let needle = needle(KEY);
    for (text, open) in [
        (&b""[..], 0),
        (b"data: x\n\n", 0),
        (b"the task", 4),
        (b"sk-", 3),
        (&[b'x'; 100], KEY.len() - 1),
    ] {
        assert_eq!(needle.open_end(text), open);
    }
}

/// A token has more characters, and a text that has none of them but letters is searched as for a key.
#[test]
fn a_token_is_found_with_all_the_characters_it_may_have() {
    let token = b"eyJ.a~b+c/d==_-eyJ";
    let mut state = 1_u8;
    let mut random = |buffer: &mut [u8]| {
        buffer.fill_with(|| {
            state = state.wrapping_mul(77).wrapping_add(31);
            state
        });
        true
    };
    let needle = Needle::new(token, Alphabet::Token, &mut random).unwrap();
    for (before, after) in [
        ("", ""),
        ("x", "y"),
        ("\"", "\""),
        ("//", "=="),
        (" ", "\n"),
    ] {
        let text = [before.as_bytes(), token, after.as_bytes()].concat();
        let expected = before.len()..before.len() + token.len();
        assert_eq!(needle.find(&text, Case::Exact), [expected]);
    }
    assert_eq!(needle.open_end(b"see https://a.b/c"), 7);
    assert!(!needle.is_in(b"eyJ.a~b+c/d== -eyJ", Case::Ignored));
}

proptest! {
    #[test]
    fn it_finds_what_a_plain_search_finds(
        text in "([a-c]{0,9}|abcabcabcabca|ABCabcabcabca|[.]|[a-c]{60}){0,12}",
    ) {
        let needle = needle(PERIODIC);
        for case in [Case::Exact, Case::Ignored] {
            prop_assert_eq!(
                needle.find(text.as_bytes(), case),
                find_plainly(text.as_bytes(), PERIODIC, case)
            );
        }
    }

    #[test]
    fn it_does_for_a_key_with_the_public_prefix(
        text in "(sk-|sk-sk-xsk-xx|SK-sk-xsk-xx|[.]|[skx-]{0,30}){0,24}",
    ) {
        let key = b"sk-sk-xsk-xx";
        let needle = needle(key);
        for case in [Case::Exact, Case::Ignored] {
            prop_assert_eq!(
                needle.find(text.as_bytes(), case),
                find_plainly(text.as_bytes(), key, case)
            );
        }
    }
}

use super::*;
use crate::credential::needle::Needle;

use crate::credential::alphabet::is_key_byte;

const KEY: &[u8] = b"sk-test-abcabcabd-0123456789";
/// Overlaps itself.
const PERIODIC: &[u8] = b"abcabcabcabca";

fn redactor(key: &[u8]) -> Redactor {
    Redactor::new(KnownKeys::for_tests(key), None)
}

fn redact(pieces: &[&[u8]], key: &[u8]) -> (String, bool) {
    let mut redactor = redactor(key);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(redactor.take(Bytes::copy_from_slice(piece)));
    }
    out.extend(redactor.finish().unwrap_or_default());
    (String::from_utf8(out).unwrap(), redactor.has_found())
}

#[test]
fn an_echo_is_replaced_whole_wherever_it_is_cut() {
    let whole = [b"before ", KEY, b" between ", KEY, KEY, b" after"].concat();
    let stars = "*".repeat(KEY.len());
    let expected = format!("before {stars} between {stars}{stars} after");
    for cut in 0..=whole.len() {
        for second in cut..=whole.len() {
            let pieces = [&whole[..cut], &whole[cut..second], &whole[second..]];
            assert_eq!(redact(&pieces, KEY), (expected.clone(), true));
        }
    }
}

#[test]
fn byte_by_byte_it_is_replaced_too() {
    let whole = [KEY, b".", KEY].concat();
    let pieces: Vec<&[u8]> = whole.chunks(1).collect();
    let stars = "*".repeat(KEY.len());
    assert_eq!(redact(&pieces, KEY), (format!("{stars}.{stars}"), true));
}

#[test]
fn keys_that_overlap_are_replaced_to_the_last_byte() {
    let whole = b"xabcabcabcabcabcay";
    let stars = "*".repeat(whole.len() - 2);
    for size in 1..=whole.len() {
        let pieces: Vec<&[u8]> = whole.chunks(size).collect();
        assert_eq!(redact(&pieces, PERIODIC), (format!("x{stars}y"), true));
    }
}

#[test]
fn what_only_begins_like_the_key_goes_out_unchanged_at_the_end() {
    for len in 0..KEY.len() {
        let begun = &KEY[..len];
        let text = String::from_utf8(begun.to_vec()).unwrap();
        assert_eq!(redact(&[begun], KEY), (text, false));
    }
    // Behind a whole key too: the rest tells nothing that the caller did not choose.
    let (out, found) = redact(&[KEY, &KEY[..20]], KEY);
    let stars = "*".repeat(KEY.len());
    assert_eq!((out, found), (format!("{stars}sk-test-abcabcabd-01"), true));
}

#[test]
fn an_event_leaves_at_once_and_uncopied() {
    let mut redactor = redactor(KEY);
    for event in [
        "data: risks\n\n",
        "data: sk-test.",
        "",
        "{\"id\":\"resp_1\"}",
    ] {
        let piece = Bytes::from(event);
        let out = redactor.take(piece.clone());
        assert_eq!((out.as_ptr(), &out), (piece.as_ptr(), &piece));
        assert!(!redactor.holds_back());
    }
}

#[test]
fn a_word_at_the_end_waits_for_what_follows_whatever_it_is() {
    for word in ["task", "sk-test-abc", "nothing-like-it"] {
        let mut redactor = redactor(KEY);
        let piece = format!("data: {word}");
        assert_eq!(redactor.take(piece.into()), "data: ");
        assert!(redactor.holds_back());
        assert_eq!(redactor.take(Bytes::from(".")), format!("{word}."));
        assert!(!redactor.holds_back() && redactor.finish().is_none());
    }
    // Of a long run no more than a key less one byte.
    let mut redactor = redactor(KEY);
    let out = redactor.take(vec![b'x'; 100].into());
    assert_eq!(out.len(), 100 - (KEY.len() - 1));
}

#[test]
fn headers_that_hold_it_go_by_value_and_by_name_in_any_case() {
    let text = std::str::from_utf8(KEY).unwrap();
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, value.parse().unwrap());
    };
    add("x-echo", &format!("Bearer {text}"));
    add("x-echo", "harmless");
    add("x-upper", &text.to_ascii_uppercase());
    add(text, "1");
    add(&format!("x-{}-x", text.to_ascii_uppercase()), "1");
    add("x-partly", &text[1..]);
    add("x-request-id", "req_1");
    let mut redactor = redactor(KEY);
    redactor.clean_headers(&mut headers);
    assert!(redactor.has_found());
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-partly", "x-request-id"]);
}

/// Numbers that are the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    /// Of few letters, so that keys resemble each other and themselves; of every other one the prefix is public.
    fn key(&mut self, len: usize) -> Vec<u8> {
        let prefix = [&b""[..], b"sk-"][self.below(2)];
        let letters = [&b"ab-"[..], b"sk-"][self.below(2)];
        let rest = (prefix.len()..len).map(|_| letters[self.below(3)]);
        prefix.iter().copied().chain(rest).collect()
    }

    /// Parts of either key, mostly their beginnings, and some bytes of other classes.
    fn text(&mut self, keys: &[Vec<u8>; 2]) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.below(6) {
            let key = &keys[self.below(2)];
            let len = self.below(key.len() + 1);
            match self.below(8) {
                0 => text.extend(b".\n\n"),
                1 => text.push(b'a'),
                2 => text.extend(&key[len..]),
                _ => text.extend(&key[..len]),
            }
        }
        text
    }

    /// Cuts a text anywhere, byte by byte too.
    fn pieces(&mut self, text: &[u8]) -> Vec<Bytes> {
        let longest = [1, 3, 20, 200][self.below(4)];
        let mut rest = Bytes::copy_from_slice(text);
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let len = self.below(longest + 1).min(rest.len());
            pieces.push(rest.split_to(len));
        }
        pieces
    }
}

/// All that can be seen of one answer: what comes out at each step, and what is known
/// of the rest.
fn trace(redactor: &mut Redactor, pieces: &[Bytes]) -> Vec<(Option<Bytes>, bool, bool)> {
    let mut seen = Vec::new();
    for piece in pieces {
        let out = redactor.take(piece.clone());
        seen.push((Some(out), redactor.holds_back(), redactor.has_found()));
    }
    let out = redactor.finish();
    seen.push((out, redactor.holds_back(), redactor.has_found()));
    seen
}

/// The claim above, 100,000 times over; in `fuzz/` a million and more.
#[test]
fn without_the_whole_key_nothing_that_comes_out_depends_on_it() {
    let mut dice = Dice(0x2026_1127);
    let mut cases = 0;
    while cases < 100_000 {
        let len = 12 + dice.below(8);
        let keys = [dice.key(len), dice.key(len)];
        let mut redactors = [redactor(&keys[0]), redactor(&keys[1])];
        for _ in 0..50 {
            let text = dice.text(&keys);
            if keys.iter().any(|key| contains(&text, key)) {
                continue;
            }
            let pieces = dice.pieces(&text);
            let [one, other] = redactors.each_mut().map(|each| trace(each, &pieces));
            assert_eq!(one, other, "{keys:?} {pieces:?}");
            let out: Vec<u8> = one
                .iter()
                .flat_map(|step| step.0.iter().flatten())
                .copied()
                .collect();
            assert_eq!(out, text);
            cases += 1;
        }
    }
}

/// And where it is there, nothing but asterisks in its place does.
#[test]
fn with_the_key_only_its_bytes_change_and_no_piece_does() {
    let mut dice = Dice(0x2026_1128);
    let mut with_key = 0;
    while with_key < 5_000 {
        let len = 12 + dice.below(8);
        let keys = [dice.key(len), dice.key(len)];
        let text = [dice.text(&keys), keys[0].clone(), dice.text(&keys)].concat();
        let pieces = dice.pieces(&text);
        let seen = trace(&mut redactor(&keys[0]), &pieces);

        let mut expected = text.clone();
        for (at, _) in text
            .windows(len)
            .enumerate()
            .filter(|(_, part)| *part == keys[0])
        {
            expected[at..at + len].fill(b'*');
        }
        let out: Vec<u8> = seen
            .iter()
            .flat_map(|step| step.0.iter().flatten())
            .copied()
            .collect();
        assert_eq!(out, expected, "{keys:?} {pieces:?}");
        let (mut came, mut left) = (0, 0);
        for (piece, (out, ..)) in pieces.iter().zip(&seen) {
            came += piece.len();
            left += out.as_ref().unwrap().len();
            let run = text[..came]
                .iter()
                .rev()
                .take_while(|&&byte| is_key_byte(byte));
            assert_eq!(came - left, run.count().min(len - 1));
        }
        with_key += 1;
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Where several keys are known, of different lengths, each is replaced wherever an answer is cut, and a key that
/// is known only from the middle of the answer on is replaced from there on.
#[test]
fn of_several_keys_each_is_replaced_wherever_it_is_cut() {
    const OTHER: &[u8] = b"sk-short-0123";
    let needle = |key| std::sync::Arc::new(Needle::with_numbers_for_tests(key));
    let known = || -> &'static KnownKeys {
        Box::leak(Box::new(KnownKeys::new(vec![needle(KEY), needle(OTHER)])))
    };
    let whole = [
        b"a ", OTHER, b" b ", KEY, OTHER, b"c", OTHER, KEY, b" ", OTHER,
    ]
    .concat();
    let stars = |len| "*".repeat(len);
    let (key, other) = (KEY.len(), OTHER.len());
    let expected = format!(
        "a {} b {}c{} {}",
        stars(other),
        stars(key + other),
        stars(other + key),
        stars(other)
    );
    for size in 1..=whole.len() {
        let mut redactor = Redactor::new(known(), None);
        let mut out = Vec::new();
        for piece in whole.chunks(size) {
            out.extend(redactor.take(Bytes::copy_from_slice(piece)));
        }
        out.extend(redactor.finish().unwrap_or_default());
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{size}");
        assert!(redactor.has_found());
    }
    let known = KnownKeys::for_tests(KEY);
    let mut redactor = Redactor::new(known, Some(Watch::for_tests(needle(PERIODIC))));
    let before = redactor.take(Bytes::from_static(b"sk-short-0123 abcabcabcabca "));
    known.replace(vec![needle(OTHER)]);
    let after = redactor.take(Bytes::from_static(b"sk-short-0123 abcabcabcabca "));
    assert_eq!(before, format!("sk-short-0123 {} ", stars(13)));
    assert_eq!(after, format!("{} {} ", stars(13), stars(13)));
}

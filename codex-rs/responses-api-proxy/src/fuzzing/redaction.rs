//! The entries for what looks for the key in answers.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::credential::known_keys::KnownKeys;
use crate::credential::redact::Redactor;
use crate::credential::substitution::fuzzing::{cut, split_control};

/// Keys of one length in pairs: unlike, alike at the beginning, at the end, and each like itself.
const KEYS: [[&[u8]; 2]; 4] = [
    [
        b"sk-fuzz-abcabcabd-0123456789",
        b"sk-Zq7vK2wXh9_RbT4nYc8LmJ6pD",
    ],
    [b"sk-proj-aaaa", b"sk-proj-aaab"],
    [b"aaaaaaaaaaaaaaaa", b"baaaaaaaaaaaaaaa"],
    [b"abcabcabcabca", b"abcabcabcabcb"],
];

static KNOWN: LazyLock<[[&KnownKeys; 2]; 4]> =
    LazyLock::new(|| KEYS.map(|pair| pair.map(KnownKeys::for_tests)));

/// The pair of keys that the first byte names, and a text: in the rest 0xff stands for the first
/// key, and 0xfe (of the first) or 0xfd (of the second) and a byte for a beginning of one, or its
/// end where that byte is odd.
fn keys_and_text(data: &[u8]) -> (usize, Vec<u8>) {
    let Some((pair, rest)) = data.split_first() else {
        return (0, Vec::new());
    };
    let pair = usize::from(*pair) % KEYS.len();
    let mut text = Vec::new();
    let mut bytes = rest.iter();
    while let Some(&byte) = bytes.next() {
        let key = KEYS[pair][usize::from(byte == 0xfd)];
        match byte {
            0xff => text.extend(key),
            0xfd | 0xfe => {
                let byte = bytes.next().copied().unwrap_or_default();
                let len = usize::from(byte >> 1) % key.len();
                text.extend(if byte & 1 == 0 {
                    &key[..len]
                } else {
                    &key[key.len() - len..]
                });
            }
            _ => text.push(byte),
        }
    }
    (pair, text)
}

/// Wherever an answer is cut: every whole key is replaced, to its last byte, and nothing else.
pub fn redact(data: &[u8]) {
    let (control, rest) = split_control(data);
    let (pair, text) = keys_and_text(rest);
    let key = KEYS[pair][0];
    let mut expected = text.clone();
    for (at, _) in text
        .windows(key.len())
        .enumerate()
        .filter(|(_, part)| *part == key)
    {
        expected[at..at + key.len()].fill(b'*');
    }
    for control in [control, &[]] {
        let steps = redacted(&text, control, KNOWN[pair][0]);
        let out: Vec<u8> = steps
            .into_iter()
            .flat_map(|step| step.0.unwrap_or_default())
            .collect();
        assert_eq!(out, expected);
    }
}

/// For two keys of one length and an answer that holds neither whole: the same pieces come out at
/// the same steps, and what is known beside them is the same.
pub fn noninterference(data: &[u8]) {
    let (control, rest) = split_control(data);
    let (pair, text) = keys_and_text(rest);
    let holds = |key: &&[u8]| text.windows(key.len()).any(|part| part == *key);
    if KEYS[pair].iter().any(holds) {
        return;
    }
    let [one, other] = KNOWN[pair];
    assert_eq!(
        redacted(&text, control, one),
        redacted(&text, control, other)
    );
}

/// Each step of an answer: what came out, whether anything is held back, whether a key was found.
fn redacted(
    text: &[u8],
    control: &[u8],
    known: &'static KnownKeys,
) -> Vec<(Option<Bytes>, bool, bool)> {
    let mut redactor = Redactor::new(known, None);
    let mut steps = Vec::new();
    for (piece, _) in cut(text, control) {
        let out = redactor.take(Bytes::copy_from_slice(piece));
        steps.push((Some(out), redactor.holds_back(), redactor.has_found()));
    }
    let out = redactor.finish();
    steps.push((out, redactor.holds_back(), redactor.has_found()));
    steps
}

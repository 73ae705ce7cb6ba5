//! Finds the whole key in a text, without saying how near a miss was. Pure.
//!
//! Callers choose what stands in an answer: the Responses API repeats their
//! `instructions`. So a search whose time, or whose outcome, depends on how much of
//! the key a text holds is an oracle: a guess can be lengthened character by
//! character. Ordinary searches are of that kind (they stop at the first difference,
//! or skip by what the needle is made of). This one depends on the key in two
//! things only: its length, and whether all of it stands in the text.
//!
//! 1. A key can stand only in a run of bytes of its alphabet ([`is_key_byte`]) that
//!    is at least as long as itself. Such runs are found by the class of bytes alone,
//!    in jumps of the key's length: ordinary text has few, and costs little.
//! 2. In a run every place is compared with all of the key, by `XOR` and `OR` over
//!    all of its bytes, many places at a time. Nothing branches before the last byte,
//!    and then only on "all of it" or "not all of it".
//!
//! That the compiler keeps the second step free of branches is not a promise of the
//! language; the result of a block passes an optimisation barrier
//! ([`black_box`]) before it is looked at.

use std::fmt;
use std::hint::black_box;
use std::ops::Range;

use crate::read_api_key::is_key_byte;

/// A shorter key, in bytes, is not looked for. It would turn up in text by chance; and
/// as asterisks tell a caller that its guess is the whole key, a key that can be
/// guessed as a whole is better not replaced. Twelve characters of 64 are 2^72 guesses.
const SHORTEST_KEY: usize = 12;

/// How many places are compared at a time: half of the vector registers of any x86-64,
/// the other half being needed for the text and the key. With a key of 51 bytes a run of
/// 16 KiB is searched at 500 MB/s, with one of 164 bytes at 200 MB/s.
const LANES: usize = 128;

/// And in a shorter run: a word of a hundred letters is one or two of these.
const FEWER_LANES: usize = 32;

/// [`is_key_byte`] for each byte.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler works it out, and would say so"
)]
static KEY_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_key_byte(byte as u8);
        byte += 1;
    }
    table
};

/// The key as something to look for; refers to the key's page.
pub(crate) struct Needle {
    /// Empty if it is not looked for.
    key: &'static [u8],
}

/// Which letters are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    /// Names of headers and hosts come in lower case, whatever the key was.
    Ignored,
}

impl Needle {
    pub(crate) fn new(key: &'static [u8]) -> Self {
        let looked_for = key.len() >= SHORTEST_KEY;
        Self {
            key: if looked_for { key } else { &[] },
        }
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_empty()
    }

    /// How many bytes at the end of `text` could be the beginning of a key for all that
    /// their class says: the run of key bytes there, but never a whole key's length.
    pub(crate) fn open_end(&self, text: &[u8]) -> usize {
        let longest = self.key.len().saturating_sub(1);
        let run = text.iter().rev().take(longest);
        run.take_while(|&&byte| is_in_alphabet(byte)).count()
    }

    pub(crate) fn is_in(&self, text: &[u8], case: Case) -> bool {
        !self.find(text, case).is_empty()
    }

    /// Where the key stands in `text`: ranges in their order, those that overlap or
    /// touch joined to one.
    pub(crate) fn find(&self, text: &[u8], case: Case) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.key.is_empty() {
            return found;
        }
        let mut from = 0;
        while let Some(run) = self.next_run(text, from) {
            from = run.end;
            let bytes = text.get(run.clone()).unwrap_or_default();
            match case {
                Case::Exact => self.compare_exactly(bytes, run.start, &mut found),
                Case::Ignored => self.compare_in_any_case(bytes, run.start, &mut found),
            }
        }
        found
    }

    /// The next run of key bytes, from `from` on, that is as long as a key.
    fn next_run(&self, text: &[u8], mut from: usize) -> Option<Range<usize>> {
        let length = self.key.len();
        loop {
            // Whatever is no key byte rules out every run across it, so the last one
            // of these spares a look at those before.
            let next = text.get(from..from.checked_add(length)?)?;
            match next.iter().rposition(|&byte| !is_in_alphabet(byte)) {
                Some(at) => from += at + 1,
                None => {
                    let rest = text.get(from + length..).unwrap_or_default();
                    let more = rest.iter().position(|&byte| !is_in_alphabet(byte));
                    let end = from + length + more.unwrap_or(rest.len());
                    return Some(from..end);
                }
            }
        }
    }

    /// Compares every place of a run with the key, and notes where it stands.
    fn compare_exactly(&self, run: &[u8], offset: usize, found: &mut Vec<Range<usize>>) {
        let places = (run.len() + 1).saturating_sub(self.key.len());
        let mut at = 0;
        while at < places {
            // The last block of a size lies over the one before it rather than being smaller.
            at = if places - at >= LANES {
                self.compare_block::<{ LANES / WORD }>(run, at, at, offset, found)
            } else if places >= FEWER_LANES {
                let from = at.min(places - FEWER_LANES);
                self.compare_block::<{ FEWER_LANES / WORD }>(run, from, at, offset, found)
            } else {
                let text = run.get(at..).unwrap_or_default();
                let pairs = text.iter().zip(self.key);
                let difference = pairs.fold(0, |all, (&one, &other)| all | (one ^ other));
                if black_box(difference) == 0 {
                    self.note(offset + at, found);
                }
                at + 1
            };
        }
    }

    /// Compares the places of a block of so many words, which begins at `from`, and notes those from `new`
    /// on; returns the first place behind it.
    fn compare_block<const WORDS: usize>(
        &self,
        run: &[u8],
        from: usize,
        new: usize,
        offset: usize,
        found: &mut Vec<Range<usize>>,
    ) -> usize {
        let text = run.get(from..).unwrap_or_default();
        let differences = differences::<WORDS>(text, self.key);
        // As one question for the block: nearly every one is without a key.
        if differences.into_iter().any(has_zero_byte) {
            let bytes = differences.into_iter().flat_map(u64::to_le_bytes);
            for (difference, at) in bytes.zip(from..) {
                if difference == 0 && at >= new {
                    self.note(offset + at, found);
                }
            }
        }
        from + WORDS * WORD
    }

    /// The same whatever the case of letters, place by place: for heads and messages, which are short.
    fn compare_in_any_case(&self, run: &[u8], offset: usize, found: &mut Vec<Range<usize>>) {
        let windows = run.windows(self.key.len());
        for (at, text) in windows.enumerate() {
            let pairs = text.iter().zip(self.key);
            let difference = pairs.fold(0, |all, (one, other)| {
                all | (one.to_ascii_lowercase() ^ other.to_ascii_lowercase())
            });
            if black_box(difference) == 0 {
                self.note(offset + at, found);
            }
        }
    }

    fn note(&self, at: usize, found: &mut Vec<Range<usize>>) {
        let end = at + self.key.len();
        match found.last_mut() {
            Some(last) if last.end >= at => last.end = end,
            _ => found.push(at..end),
        }
    }
}

/// How many places stand in a word, a byte for each.
const WORD: usize = size_of::<u64>();

/// For each of the first places of `text`, a byte that is 0 if `key` stands there. All of the key is
/// compared at each, whatever is found. `text` goes on for a key's length behind the last place.
#[inline]
fn differences<const WORDS: usize>(text: &[u8], key: &[u8]) -> [u64; WORDS] {
    let mut all = [0; WORDS];
    for (at, &wanted) in key.iter().enumerate() {
        let wanted = u64::from_ne_bytes([wanted; WORD]);
        let bytes = text.get(at..at + WORDS * WORD).unwrap_or_default();
        let (words, _) = bytes.as_chunks::<WORD>();
        if words.len() != WORDS {
            // Cannot be: what was not compared is no match.
            return [u64::MAX; WORDS];
        }
        for (all, word) in all.iter_mut().zip(words) {
            *all |= u64::from_le_bytes(*word) ^ wanted;
        }
    }
    black_box(all)
}

/// Whether one of the bytes is 0, for which no byte above it is looked at in turn.
fn has_zero_byte(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; WORD]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; WORD]);
    word.wrapping_sub(ONES) & !word & HIGHEST != 0
}

fn is_in_alphabet(byte: u8) -> bool {
    KEY_BYTES.get(usize::from(byte)).copied().unwrap_or(false)
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Needle")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const KEY: &[u8] = b"sk-test-abcabcabd-0123456789";
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
        let needle = Needle::new(KEY);
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
        let needle = Needle::new(PERIODIC);
        let one = needle.find(b"abcabcabcabcabca", Case::Exact);
        assert_eq!(one.first(), Some(&(0..16)));
        assert_eq!(one.len(), 1);
        let twice = [PERIODIC, PERIODIC, b".", PERIODIC].concat();
        assert_eq!(needle.find(&twice, Case::Exact), [0..26, 27..40]);
    }

    #[test]
    fn one_byte_less_or_another_byte_is_not_the_key() {
        let needle = Needle::new(KEY);
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
            let needle = Needle::new(key);
            assert!(needle.is_empty() && !needle.is_in(b"k sk-test-012", Case::Exact));
            assert_eq!(needle.open_end(b"sk-test"), 0);
        }
        assert!(Needle::new(b"sk-test-0123").is_in(b"sk-test-0123", Case::Exact));
    }

    #[test]
    fn an_open_end_is_a_run_of_key_bytes_shorter_than_the_key() {
        let needle = Needle::new(KEY);
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

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            text in "([a-c]{0,9}|abcabcabcabca|ABCabcabcabca|[.]|[a-c]{60}){0,12}",
        ) {
            let needle = Needle::new(PERIODIC);
            for case in [Case::Exact, Case::Ignored] {
                prop_assert_eq!(
                    needle.find(text.as_bytes(), case),
                    find_plainly(text.as_bytes(), PERIODIC, case)
                );
            }
        }
    }
}

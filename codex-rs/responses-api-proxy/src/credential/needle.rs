//! Finds the whole key in a text, without saying how near a miss was. Pure.
//!
//! Callers choose what is in an answer: the Responses API repeats their
//! `instructions`. So a search whose time, or whose outcome, depends on how much of
//! the key a text holds is an oracle: a guess can be lengthened character by
//! character. Ordinary searches are of that kind (they stop at the first difference,
//! or skip by what the needle is made of). This one depends on the key in three
//! things only: its length, whether it begins as OpenAI says that its keys do
//! ([`PUBLIC_PREFIX`]), and whether all of it is in the text.
//!
//! 1. Which places are looked at. Those where the public prefix stands, if the key begins with it. If it does
//!    not, or the case of letters is ignored, all in runs of bytes of its alphabet ([`Alphabet`])
//!    that are at least as long as the key. Such runs are found by the class of bytes alone,
//!    in jumps of the key's length: ordinary text has few, and costs little.
//! 2. Each such place is compared by a hash of as many bytes as the key has, which
//!    is rolled from place to place (a cyclic polynomial: Cohen, Recursive hashing
//!    functions for n-grams, 1997) and takes the same steps whatever the bytes are. Each
//!    byte counts as a random number of 64 bits that this process has drawn for it. A
//!    hash is the key's only where nearly all of the key is there, in its place: of a
//!    key longer than 64 bytes two bytes 64 apart can be exchanged. A text that has
//!    the hash by chance is one in 2^64. Only such a place is compared, by its
//!    [fingerprint](crate::credential::fingerprint).
//!
//! The key itself is not in it: what looks for a key outlives the key's page.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::credential::alphabet::Alphabet;
use crate::credential::fingerprint::{Fingerprint, Points};

/// A shorter key, in bytes, is not looked for. It would turn up in text by chance; and
/// as asterisks tell a caller that its guess is the whole key, a key that can be
/// guessed as a whole is better not replaced. Twelve characters of 64 are 2^72 guesses.
const SHORTEST_KEY: usize = 12;

/// How the keys of OpenAI begin, whatever else follows (`sk-proj-`, `sk-svcacct-`). That a key does is not secret.
const PUBLIC_PREFIX: &[u8] = b"sk-";

static PREFIX_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PUBLIC_PREFIX));

/// So many hashes are compared before there is a look at the outcome.
const AT_ONCE: usize = 4;

/// The key as something to look for.
pub(crate) struct Needle {
    /// Of the key, in bytes; 0 if it is not looked for.
    length: usize,
    alphabet: Alphabet,
    has_public_prefix: bool,
    points: Points,
    exact: Hash,
    any_case: Hash,
}

/// Which letters are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    /// Names of headers and hosts come in lower case, whatever the key was.
    Ignored,
}

/// A hash of as many bytes as the key has, that can be rolled over a text.
struct Hash {
    /// What each byte counts for when it comes in, and when it goes out.
    incoming: [u64; 256],
    outgoing: [u64; 256],
    /// The hash of the key.
    of_key: u64,
    /// What decides where the hash is the same.
    key: Fingerprint,
}

impl Hash {
    fn new(numbers: [u64; 256], key: &[u8], fingerprint: Fingerprint) -> Self {
        // How often a byte has been rotated by the time it goes out.
        let rotations = u32::try_from(key.len() % 64).unwrap_or(0);
        let mut hash = Self {
            incoming: numbers,
            outgoing: numbers.map(|number| number.rotate_left(rotations)),
            of_key: 0,
            key: fingerprint,
        };
        hash.of_key = hash.of(key);
        hash
    }

    fn of(&self, bytes: &[u8]) -> u64 {
        let add = |hash: u64, &byte: &u8| hash.rotate_left(1) ^ number(&self.incoming, byte);
        // Four parts at a time, as each step of one waits for the step before.
        let part = bytes.len() / 4;
        let (first, bytes) = bytes.split_at(bytes.len() - 4 * part);
        let mut parts = [0; 4];
        for at in 0..part {
            for (index, hash) in parts.iter_mut().enumerate() {
                *hash = bytes
                    .get(index * part + at)
                    .map_or(0, |byte| add(*hash, byte));
            }
        }
        let rotations = u32::try_from(part % 64).unwrap_or(0);
        let join = |hash: u64, part: u64| hash.rotate_left(rotations) ^ part;
        parts.into_iter().fold(first.iter().fold(0, add), join)
    }

    fn roll(&self, hash: u64, out: u8, next: u8) -> u64 {
        // In this order the step that the next one waits for is a short one.
        let change = number(&self.outgoing, out) ^ number(&self.incoming, next);
        hash.rotate_left(1) ^ change
    }
}

/// The number of a byte, which each byte has.
fn number(numbers: &[u64; 256], byte: u8) -> u64 {
    numbers.get(usize::from(byte)).copied().unwrap_or(0)
}

impl Needle {
    /// `random` fills a buffer; `None` if it cannot.
    pub(crate) fn new(
        key: &[u8],
        alphabet: Alphabet,
        random: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Self> {
        let mut numbers = [0; 256];
        for number in &mut numbers {
            let mut bytes = [0; size_of::<u64>()];
            if !random(&mut bytes) {
                return None;
            }
            *number = u64::from_ne_bytes(bytes);
        }
        let mut folded = numbers;
        for letter in b'A'..=b'Z' {
            if let Some(number_of_letter) = folded.get_mut(usize::from(letter)) {
                *number_of_letter = number(&numbers, letter.to_ascii_lowercase());
            }
        }
        let key = if key.len() >= SHORTEST_KEY { key } else { &[] };
        let points = Points::draw(random)?;
        Some(Self {
            length: key.len(),
            alphabet,
            has_public_prefix: key.starts_with(PUBLIC_PREFIX),
            points,
            exact: Hash::new(numbers, key, points.of(key, as_it_is)),
            any_case: Hash::new(folded, key, points.of(key, in_lower_case)),
        })
    }

    /// One whose numbers are the same every time, and as different as random ones.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn with_numbers_for_tests(key: &[u8]) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |buffer: &mut [u8]| {
            for byte in buffer {
                // xorshift64 (Marsaglia, 2003).
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state.to_le_bytes()[0];
            }
            true
        };
        match Self::new(key, Alphabet::Key, &mut random) {
            Some(needle) => needle,
            None => unreachable!("the numbers do not run out"),
        }
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many bytes at the end of `text` could be the beginning of a key for all that
    /// their class says: the run of key bytes there, but never a whole key's length.
    pub(crate) fn open_end(&self, text: &[u8]) -> usize {
        let longest = self.length.saturating_sub(1);
        let run = text.iter().rev().take(longest);
        run.take_while(|&&byte| self.alphabet.contains(byte))
            .count()
    }

    /// Whether `text` is the key, all of it and nothing else; never for a key that is not looked for.
    ///
    /// It may be one that is in its page and nowhere else: not searched, but hashed byte by byte, as a search in vectors
    /// would leave parts of it on the stack.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        let is_key = self.length > 0 && text.len() == self.length;
        is_key && self.exact.of(text) == self.exact.of_key && self.stands_at(text, 0, Case::Exact)
    }

    pub(crate) fn is_in(&self, text: &[u8], case: Case) -> bool {
        !self.find(text, case).is_empty()
    }

    /// Where the key is in `text`: ranges in their order, those that overlap or
    /// touch joined to one.
    pub(crate) fn find(&self, text: &[u8], case: Case) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.length == 0 {
            return found;
        }
        if self.has_public_prefix && case == Case::Exact {
            self.look_at_prefixes(text, &mut found);
            return found;
        }
        let mut from = 0;
        while let Some(run) = self.next_run(text, from) {
            from = run.end;
            let Some(bytes) = text.get(run.clone()) else {
                // What cannot be looked at is kept back.
                found.push(0..text.len());
                return found;
            };
            self.look_in_run(bytes, run.start, case, &mut found);
        }
        found
    }

    /// Looks at every place where the public prefix stands, and notes where the key does.
    fn look_at_prefixes(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        let hash = &self.exact;
        let mut before = None;
        for at in PREFIX_FINDER.find_iter(text) {
            let Some(window) = text.get(at..at + self.length) else {
                return;
            };
            let here = match before {
                // Where the prefix is repeated, to hash each place anew would take as many times longer as a key is
                // longer than the prefix.
                Some((last, hash_there)) if at - last < self.length / 2 => {
                    let outs = text.get(last..at).unwrap_or_default();
                    let ins = text.get(last + self.length..).unwrap_or_default();
                    let roll = |here, (&out, &next)| hash.roll(here, out, next);
                    outs.iter().zip(ins).fold(hash_there, roll)
                }
                _ => hash.of(window),
            };
            before = Some((at, here));
            if here == hash.of_key && self.stands_at(text, at, Case::Exact) {
                self.note(at, found);
            }
        }
    }

    /// The next run of key bytes, from `from` on, that is as long as a key.
    fn next_run(&self, text: &[u8], mut from: usize) -> Option<Range<usize>> {
        let length = self.length;
        loop {
            // Whatever is not a key byte rules out every run across it, so the last one
            // of these spares a look at those before.
            let next = text.get(from..from.checked_add(length)?)?;
            match self.alphabet.end_of_others(next) {
                0 => {
                    let rest = text.get(from + length..).unwrap_or_default();
                    return Some(from..from + length + self.alphabet.run_at_start(rest));
                }
                end => from += end,
            }
        }
    }

    /// Looks at every place of a run, and notes where the key stands.
    fn look_in_run(&self, run: &[u8], offset: usize, case: Case, found: &mut Vec<Range<usize>>) {
        let hash = self.hash(case);
        let Some((first, rest)) = run.split_at_checked(self.length) else {
            return;
        };
        let mut look = |at: usize, here: u64| {
            if here == hash.of_key && self.stands_at(run, at, case) {
                self.note(offset + at, found);
            }
        };
        let mut here = hash.of(first);
        look(0, here);
        // Several at a time: a look at each hash would cost as much as the hash.
        let (outs, ins) = (run.chunks_exact(AT_ONCE), rest.chunks_exact(AT_ONCE));
        let last = ins.remainder();
        let mut at = 0;
        for (outs, ins) in outs.zip(ins) {
            let mut hashes = [0; AT_ONCE];
            let mut is_any = false;
            for ((there, &out), &next) in hashes.iter_mut().zip(outs).zip(ins) {
                here = hash.roll(here, out, next);
                *there = here;
                is_any |= here == hash.of_key;
            }
            if is_any {
                for (step, &there) in hashes.iter().enumerate() {
                    look(at + step + 1, there);
                }
            }
            at += AT_ONCE;
        }
        for (&out, &next) in run.iter().skip(at).zip(last) {
            here = hash.roll(here, out, next);
            at += 1;
            look(at, here);
        }
    }

    fn hash(&self, case: Case) -> &Hash {
        match case {
            Case::Exact => &self.exact,
            Case::Ignored => &self.any_case,
        }
    }

    fn stands_at(&self, run: &[u8], at: usize, case: Case) -> bool {
        let text = run.get(at..at + self.length);
        text.is_some_and(|text| {
            let found = match case {
                Case::Exact => self.points.of(text, as_it_is),
                Case::Ignored => self.points.of(text, in_lower_case),
            };
            found == self.hash(case).key
        })
    }

    fn note(&self, at: usize, found: &mut Vec<Range<usize>>) {
        let end = at + self.length;
        match found.last_mut() {
            Some(last) if last.end >= at => last.end = end,
            _ => found.push(at..end),
        }
    }
}

fn as_it_is(byte: u8) -> u8 {
    byte
}

fn in_lower_case(byte: u8) -> u8 {
    byte.to_ascii_lowercase()
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Needle")
    }
}

#[cfg(test)]
mod tests;

//! An upstream that sends the key back does not get it past here. Pure.
//!
//! An echo server behind a mistyped `--upstream-url` returns what it got, key
//! included. The key is replaced by as many asterisks, so that no length changes,
//! wherever the pieces of an answer happen to be cut. It is looked for as it
//! stands: not in compressed answers, nor if the upstream means to hide it, which
//! nothing could prevent.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use memchr::memmem::Finder;

use crate::read_api_key::is_key_byte;

/// A beginning of the key this long at the end of a piece is held back until it
/// is clear what it is. Shorter ones (`sk-`) end pieces by chance, and tell nothing.
const HELD_FROM: usize = 4;

/// A shorter key would turn up by chance; it is not looked for.
const SHORTEST_KEY: usize = 12;

/// Asterisks to take as many from as are needed.
static ASTERISKS: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'*'; 4096]));

/// The key as something to look for; made once, and refers to the key's page.
pub(crate) struct Needle {
    key: &'static [u8],
    finder: Finder<'static>,
}

impl Needle {
    pub(crate) fn new(key: &'static [u8]) -> Self {
        let looked_for = key.len() >= SHORTEST_KEY;
        let key = if looked_for { key } else { &[] };
        Self {
            key,
            finder: Finder::new(key),
        }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.finder.find(bytes).is_some()
    }

    /// The length of the longest beginning of the key, short of all of it, that
    /// `bytes` end in.
    fn tail_match(&self, bytes: &[u8]) -> usize {
        // Nearly every piece ends in a newline or a bracket, which no key has.
        if !bytes.last().is_some_and(|&byte| is_key_byte(byte)) {
            return 0;
        }
        let longest = bytes.len().min(self.key.len().saturating_sub(1));
        (1..=longest)
            .rev()
            .find(|&len| {
                let tail = bytes.get(bytes.len() - len..);
                tail.is_some() && tail == self.key.get(..len)
            })
            .unwrap_or(0)
    }
}

impl std::fmt::Debug for Needle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Needle")
    }
}

/// Looks for the key in one answer, piece by piece.
#[derive(Debug)]
pub(crate) struct Redactor {
    needle: &'static Needle,
    /// How much of the key the pieces so far end in.
    matched: usize,
    /// How much of that was held back; the rest, under [`HELD_FROM`], is out.
    held: usize,
    found: bool,
}

impl Redactor {
    pub(crate) fn new(needle: &'static Needle) -> Self {
        Self {
            needle,
            matched: 0,
            held: 0,
            found: false,
        }
    }

    /// Whether anything was replaced so far.
    pub(crate) fn has_found(&self) -> bool {
        self.found
    }

    /// Whether something will come out of [`finish`](Self::finish).
    pub(crate) fn holds_back(&self) -> bool {
        self.held > 0
    }

    /// Removes every header whose value holds the key.
    pub(crate) fn clean_headers(&mut self, headers: &mut HeaderMap) {
        if self.needle.key.is_empty() {
            return;
        }
        let holds_key = |value: &http::HeaderValue| self.needle.is_in(value.as_bytes());
        let named: Vec<_> = headers
            .iter()
            .filter(|(_, value)| holds_key(value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in named {
            headers.remove(name);
            self.found = true;
        }
    }

    /// Takes a piece of the body and returns what may go on: in nearly every case
    /// the piece itself, uncopied.
    pub(crate) fn take(&mut self, piece: Bytes) -> Bytes {
        if self.needle.key.is_empty() {
            return piece;
        }
        if self.matched == 0 {
            let tail = self.needle.tail_match(&piece);
            if tail < HELD_FROM && !self.needle.is_in(&piece) {
                self.matched = tail;
                return piece;
            }
        }
        self.rewrite(&piece)
    }

    /// What was held back when the body ended: an unfinished key is kept from the
    /// caller too, by as many asterisks.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        let held = std::mem::take(&mut self.held);
        self.matched = 0;
        self.found |= held > 0;
        (held > 0).then(|| asterisks(held))
    }

    /// The careful way: what was held back and the piece, byte by byte.
    fn rewrite(&mut self, piece: &[u8]) -> Bytes {
        let key = self.needle.key;
        let mut out = BytesMut::with_capacity(self.held + piece.len());
        for &byte in piece {
            while self.matched > 0 && key.get(self.matched) != Some(&byte) {
                // The longest shorter beginning of the key that the match ends in;
                // what is no longer part of one may go.
                let so_far = key.get(..self.matched).unwrap_or_default();
                let shorter = self.needle.tail_match(so_far.get(1..).unwrap_or_default());
                let released = self.held.saturating_sub(held_of(shorter));
                let from = self.matched - self.held;
                out.extend_from_slice(so_far.get(from..from + released).unwrap_or_default());
                self.held -= released;
                self.matched = shorter;
            }
            if key.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched >= HELD_FROM {
                    self.held += 1;
                } else {
                    out.extend_from_slice(&[byte]);
                }
            } else {
                out.extend_from_slice(&[byte]);
            }
            if self.matched == key.len() {
                out.extend_from_slice(&asterisks(self.held));
                (self.matched, self.held) = (0, 0);
                self.found = true;
            }
        }
        out.freeze()
    }
}

/// How much of a match so long is held back.
fn held_of(matched: usize) -> usize {
    (matched + 1).saturating_sub(HELD_FROM)
}

/// Asterisks in number of a part of a key, which is shorter than 4096 bytes.
fn asterisks(len: usize) -> Bytes {
    ASTERISKS.slice(..len.min(ASTERISKS.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const KEY: &[u8] = b"sk-test-abcabcabd-0123456789";

    fn redactor(key: &'static [u8]) -> Redactor {
        Redactor::new(Box::leak(Box::new(Needle::new(key))))
    }

    fn redact(pieces: &[&[u8]], key: &'static [u8]) -> (Vec<u8>, bool) {
        let mut redactor = redactor(key);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(redactor.take(Bytes::copy_from_slice(piece)));
        }
        out.extend(redactor.finish().unwrap_or_default());
        (out, redactor.has_found())
    }

    #[test]
    fn an_echo_is_replaced_in_its_length_wherever_it_is_cut() {
        let whole = [b"before ", KEY, b" between ", KEY, KEY, b" after"].concat();
        for cut in 0..=whole.len() {
            for second in cut..=whole.len() {
                let (out, found) =
                    redact(&[&whole[..cut], &whole[cut..second], &whole[second..]], KEY);
                assert!(found);
                assert_eq!(out.len(), whole.len());
                let text = String::from_utf8(out).unwrap();
                assert!(
                    text.starts_with("before ") && text.ends_with(" after"),
                    "{text}"
                );
                for part in KEY.windows(HELD_FROM) {
                    assert!(
                        !text
                            .as_bytes()
                            .windows(HELD_FROM)
                            .any(|found| found == part),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn byte_by_byte_it_is_replaced_too() {
        let whole = [KEY, b".", KEY].concat();
        let pieces: Vec<&[u8]> = whole.chunks(1).collect();
        let (out, found) = redact(&pieces, KEY);
        let stars = "*".repeat(KEY.len() - 3);
        assert_eq!(
            (String::from_utf8(out).unwrap(), found),
            (format!("sk-{stars}.sk-{stars}"), true)
        );
    }

    #[test]
    fn an_unfinished_key_at_the_end_is_kept_back() {
        let (out, found) = redact(&[&KEY[..20]], KEY);
        assert_eq!(
            (out.as_slice(), found),
            (&b"sk-*****************"[..], true)
        );
        let (out, found) = redact(&[b"the task"], KEY);
        assert_eq!((out.as_slice(), found), (&b"the task"[..], false));
    }

    #[test]
    fn an_event_leaves_at_once_and_uncopied() {
        let mut redactor = redactor(KEY);
        for event in ["data: risks\n\n", "data: ask", "data: sk-", ""] {
            let piece = Bytes::from(event);
            let out = redactor.take(piece.clone());
            assert_eq!(out, piece);
        }
        let piece = Bytes::from("data: x\n\n");
        redactor.take(Bytes::from("\n"));
        assert_eq!(redactor.take(piece.clone()).as_ptr(), piece.as_ptr());
    }

    #[test]
    fn a_key_too_short_to_be_told_from_text_is_not_looked_for() {
        for key in [&b""[..], b"k", b"sk-test"] {
            assert_eq!(
                redact(&[b"k sk-test k"], key),
                (b"k sk-test k".to_vec(), false)
            );
        }
    }

    #[test]
    fn headers_that_hold_it_go() {
        let mut headers = HeaderMap::new();
        headers.append(
            "x-echo",
            "Bearer sk-test-abcabcabd-0123456789".parse().unwrap(),
        );
        headers.append("x-echo", "harmless".parse().unwrap());
        headers.append("x-request-id", "req_1".parse().unwrap());
        let mut redactor = redactor(KEY);
        redactor.clean_headers(&mut headers);
        assert!(redactor.has_found());
        assert_eq!(
            headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
            ["x-request-id"]
        );
    }

    proptest! {
        /// Text without the key comes out as it went in; no other text is touched.
        #[test]
        fn what_is_not_the_key_passes(
            parts in proptest::collection::vec((0..KEY.len(), "[a-cks\\-]{0,6}"), 0..20),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10),
        ) {
            let mut whole = Vec::new();
            for (len, text) in &parts {
                whole.extend(&KEY[..*len]);
                whole.extend(text.bytes());
                whole.push(b'.');
            }
            let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
            offsets.extend([0, whole.len()]);
            offsets.sort_unstable();
            let pieces: Vec<&[u8]> = offsets.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            prop_assert_eq!(redact(&pieces, KEY), (whole, false));
        }
    }
}

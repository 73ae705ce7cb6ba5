//! An upstream that sends the key back does not get it past here, and nobody learns
//! anything of the key from what does. Pure.
//!
//! An echo server behind a mistyped `--upstream-url` returns what it got, key
//! included. The key is replaced by as many asterisks, wherever the pieces of an
//! answer happen to be cut. It is looked for as it stands: not if the upstream means
//! to hide it, which nothing could prevent.
//!
//! # Non-interference
//!
//! Callers choose what is in an answer, and where its pieces end: the Responses
//! API repeats their `instructions`. So for two keys of one length and one source, and any
//! pieces that hold neither of them whole, what leaves is the same, in the same pieces, at
//! the same steps. The sizes of pieces do not even depend on whether the key is
//! there; only the bytes do.
//!
//! For that, what is held back at the end of a piece is chosen by the class of bytes
//! alone: the run of key bytes there ([`Alphabet`](crate::credential::alphabet::Alphabet)),
//! at most one byte less than a key. At the end of an answer, and before a cut, it goes
//! out unchanged. And how long the search takes depends on the text, and not on how much of the key
//! a near miss has ([`needle`](crate::credential::needle)).
//!
//! What that costs: where an upstream pauses behind a letter, the last word before the
//! pause waits for what follows. No clock lets it go earlier, because an upstream that
//! pauses within the key would then get it through. Server-sent events end in an empty
//! line, and leave whole.
//!
//! # Keys that change
//!
//! What is looked for is every key that may still be sent, and the one before; in the answer to a
//! request also the key that went up with it, however long that is ago. What is held back is then
//! as long as the longest of them asks for.

use std::sync::Arc;
#[cfg(codex_bench)]
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credential::issued::Watch;
use crate::credential::known_keys::{KnownKeys, Needles};
use crate::credential::needle::Case;

/// Whether anything is looked for. Only in builds that measure what that costs; all others do so always.
#[cfg(codex_bench)]
pub(crate) static REDACTS: AtomicBool = AtomicBool::new(true);

/// Looks for the key in one answer, piece by piece. Without `Debug`: what it holds back may be the key.
pub(crate) struct Redactor {
    known: &'static KnownKeys,
    /// The key of the request itself, where keys change.
    own: Option<Arc<Watch>>,
    needles: Needles,
    /// The end of what came so far, as it came: the run of key bytes that is held back.
    held: Vec<u8>,
    /// So many bytes of it, from the first, belong to a key that was whole.
    held_of_key: usize,
    found: bool,
}

impl Redactor {
    pub(crate) fn new(known: &'static KnownKeys, own: Option<Arc<Watch>>) -> Self {
        Self {
            known,
            needles: known.with(own.as_deref().map(Watch::needle)),
            own,
            held: Vec::new(),
            held_of_key: 0,
            found: false,
        }
    }

    /// Whether anything was replaced so far.
    pub(crate) fn has_found(&self) -> bool {
        self.found
    }

    /// Whether the key is in a text of which nothing comes before or after, in any case of letters.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.needles.is_in(text, Case::Ignored)
    }

    /// Whether something will come out of [`finish`](Self::finish).
    pub(crate) fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// Removes every header whose name or value holds the key, in any case of letters:
    /// names come in lower case.
    pub(crate) fn clean_headers(&mut self, headers: &mut HeaderMap) {
        let holds_key = |(name, value): (&HeaderName, &HeaderValue)| {
            let name = self.needles.is_in(name.as_ref(), Case::Ignored);
            // Not short of a look at the value: how long this takes tells nothing then.
            name | self.needles.is_in(value.as_bytes(), Case::Ignored)
        };
        let named: Vec<_> = headers
            .iter()
            .filter(|&header| holds_key(header))
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
        if self.known.has_changed_since(&self.needles) {
            self.needles = self.known.with(self.own.as_deref().map(Watch::needle));
        }
        if self.needles.is_empty() && self.held.is_empty() {
            return piece;
        }
        #[cfg(codex_bench)]
        if !REDACTS.load(Ordering::Relaxed) {
            return piece;
        }
        let piece = if self.held.is_empty() {
            piece
        } else {
            let mut whole = BytesMut::with_capacity(self.held.len() + piece.len());
            whole.extend_from_slice(&self.held);
            whole.extend_from_slice(&piece);
            whole.freeze()
        };
        let keys = self.needles.find(&piece, Case::Exact);
        let open = piece.len() - self.needles.open_end(&piece);
        // One that is in what is held from its first byte on, which is a shorter one than others, is found again.
        let passed = keys.iter().filter(|key| key.start < open);
        let end_of_key = passed.map(|key| key.end).max().unwrap_or(0);
        let end_of_key = end_of_key.max(self.held_of_key);
        self.held.clear();
        let (_, held) = piece.split_at(open);
        self.held.extend_from_slice(held);
        let replaced = self.held_of_key.min(open);
        self.held_of_key = end_of_key.saturating_sub(open);
        if end_of_key == 0 {
            return piece.slice(..open);
        }
        self.found = true;
        let (passed, _) = piece.split_at(open);
        let mut out = BytesMut::from(passed);
        for key in keys.into_iter().chain(std::iter::once(0..replaced)) {
            let key = key.start..key.end.min(open);
            if let Some(key) = out.get_mut(key) {
                key.fill(b'*');
            }
        }
        out.freeze()
    }

    /// What was held back when the body ended or was cut. That it begins like the key
    /// makes no difference: a caller that chose these bytes would learn it.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        let mut held = std::mem::take(&mut self.held);
        let of_key = std::mem::take(&mut self.held_of_key);
        let keys = self.needles.find(&held, Case::Exact);
        self.found |= !keys.is_empty();
        for key in keys.into_iter().chain(std::iter::once(0..of_key)) {
            if let Some(key) = held.get_mut(key) {
                key.fill(b'*');
            }
        }
        (!held.is_empty()).then(|| held.into())
    }
}

#[cfg(test)]
mod tests;

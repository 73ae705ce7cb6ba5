//! Keeps the caller's own token out of what is written of its request. Pure.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use memchr::memmem;
use zeroize::Zeroizing;

/// A token that nobody asked for is often a word that is there because clients want one (`dummy`, `none`): one that is
/// shorter, in bytes, stays, as it would turn up in texts by chance.
const SHORTEST_UNASKED: usize = 12;

/// What the caller sent as its API key. Without `Debug`: it is a credential.
#[derive(Clone, Default)]
pub(super) struct CallerToken(Zeroizing<Vec<u8>>);

impl CallerToken {
    /// Out of the headers of a request. `is_asked_for`: it was checked, and is the token of somebody.
    pub(super) fn of(headers: &HeaderMap, is_asked_for: bool) -> Self {
        let value = headers.get(AUTHORIZATION);
        let value = value.map_or(&b""[..], |value| value.as_bytes());
        // Behind the scheme (RFC 9110, section 11.4), of whichever kind.
        let token = value.splitn(2, |&byte| byte == b' ').last();
        let token = token.unwrap_or_default().trim_ascii();
        let is_kept = !is_asked_for && token.len() < SHORTEST_UNASKED;
        Self(Zeroizing::new(
            if is_kept { &[][..] } else { token }.to_vec(),
        ))
    }

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        !self.0.is_empty() && memmem::find(text, &self.0).is_some()
    }

    /// Looks for it in a text that comes in pieces.
    pub(super) fn redactor(self) -> TokenRedactor {
        TokenRedactor {
            token: self.0,
            held: Vec::new(),
        }
    }
}

/// Replaces the token by as many asterisks, wherever pieces are cut.
pub(super) struct TokenRedactor {
    token: Zeroizing<Vec<u8>>,
    /// The end of what came so far, in which a token may have begun.
    held: Vec<u8>,
}

impl TokenRedactor {
    /// Takes a piece and appends what may go on.
    pub(super) fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.token.is_empty() {
            out.extend_from_slice(piece);
            return;
        }
        self.held.extend_from_slice(piece);
        // Until at least half of what is searched goes on, or a long token would be looked for anew in each small piece.
        if self.held.len() < self.token.len().saturating_mul(2) {
            return;
        }
        self.redact_held();
        let may_be_begun = self.token.len() - 1;
        out.extend(self.held.drain(..self.held.len() - may_be_begun));
    }

    /// There is no more.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.token.is_empty() {
            self.redact_held();
        }
        out.append(&mut self.held);
    }

    fn redact_held(&mut self) {
        let found: Vec<usize> = memmem::find_iter(&self.held, &self.token[..]).collect();
        for at in found {
            if let Some(token) = self.held.get_mut(at..at + self.token.len()) {
                token.fill(b'*');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: &'static str, is_asked_for: bool) -> CallerToken {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        CallerToken::of(&headers, is_asked_for)
    }

    fn redacted(token: CallerToken, text: &[u8], piece: usize) -> String {
        let mut redactor = token.redactor();
        let mut out = Vec::new();
        for piece in text.chunks(piece) {
            redactor.take(piece, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_found_wherever_it_is_cut() {
        let text = "a token-of-alice, and token-of-alic and token-of-alicetoken-of-alice";
        let expected = text.replace("token-of-alice", &"*".repeat(14));
        for piece in 1..text.len() {
            let token = token("Bearer token-of-alice", true);
            assert_eq!(redacted(token, text.as_bytes(), piece), expected);
        }
    }

    /// Something goes on after each search, and only then.
    #[test]
    fn a_text_in_small_pieces_is_searched_about_twice_however_long_the_token_is() {
        const LENGTH: usize = 60 * 1024;
        const TEXT: usize = 20 * LENGTH;
        let mut headers = HeaderMap::new();
        let value = format!("Bearer {}", "t".repeat(LENGTH));
        headers.insert(AUTHORIZATION, value.try_into().unwrap());
        let mut redactor = CallerToken::of(&headers, true).redactor();
        let (mut searches, mut out) = (0, Vec::new());
        for piece in vec![b'x'; TEXT].chunks(512) {
            let before = out.len();
            redactor.take(piece, &mut out);
            searches += usize::from(out.len() > before);
        }
        redactor.finish(&mut out);
        assert_eq!(out.len(), TEXT);
        assert!(searches <= TEXT / LENGTH, "{searches} searches");
    }

    #[test]
    fn a_word_that_nobody_asked_for_stays() {
        for (value, is_asked_for, expected) in [
            ("Bearer secret", true, "a ****** b"),
            ("bearer secret", true, "a ****** b"),
            ("Bearer secret", false, "a secret b"),
            ("secret", true, "a ****** b"),
            ("Bearer ", true, "a secret b"),
        ] {
            let token = token(value, is_asked_for);
            assert_eq!(token.is_in(b"a secret b"), expected != "a secret b");
            assert_eq!(redacted(token, b"a secret b", 3), expected);
        }
        let long = token("Basic c2VjcmV0LXNlY3JldA==", false);
        assert_eq!(redacted(long, b"c2VjcmV0LXNlY3JldA==", 7), "*".repeat(20));
        let none = CallerToken::of(&HeaderMap::new(), true);
        assert_eq!(redacted(none, b"text", 1), "text");
    }
}

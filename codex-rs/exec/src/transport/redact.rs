//! Pure: a server's words without the credential that was sent to it.
//!
//! Some servers repeat the key they were given, in an error above all, and errors end in logs. A
//! server that means harm has the key already and can spell it as it likes: this is against the
//! careless one.

use std::borrow::Cow;
use std::fmt;

/// What is put in its place.
const KEY: &str = "[key]";
/// What is shorter is not a secret, and would be found in ordinary words.
const SHORTEST: usize = 8;

/// Knows what is not to be said.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// Longest first, so that a part never hides the whole.
    secrets: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl Redactor {
    /// Of values as they are sent: of `Bearer x` the `x` is what must not be repeated.
    pub(crate) fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut secrets = Vec::new();
        for value in values.filter_map(|value| std::str::from_utf8(value).ok()) {
            let token = value.split_once(' ').filter(|(scheme, _)| {
                scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic")
            });
            let token = token.map_or(value, |(_, token)| token).trim();
            if token.len() >= SHORTEST {
                // As it is in JSON as well.
                let quoted = serde_json::to_string(token);
                secrets.extend(quoted.map(|quoted| quoted.trim_matches('"').to_owned()));
                secrets.push(token.to_owned());
            }
        }
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// The text with `[key]` for each secret in it.
    pub(crate) fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), KEY));
            }
        }
        text
    }

    /// How many bytes at the end of a text may be the beginning of a secret.
    fn open_end(&self, text: &str) -> usize {
        let longest = self.secrets.first().map_or(0, String::len);
        let from = text.len().saturating_sub(longest);
        let starts = (from..text.len()).filter_map(|start| text.get(start..));
        let mut open = starts.filter(|end| self.secrets.iter().any(|s| s.starts_with(end)));
        open.next().map_or(0, str::len)
    }
}

/// Text that comes in pieces. No more of it is held back than may be the beginning of a secret.
#[derive(Default)]
pub(crate) struct Pieces {
    held: String,
}

impl Pieces {
    /// What may be said, now that this has come.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str) -> String {
        self.held.push_str(piece);
        let cleaned = redactor.clean(&self.held).into_owned();
        let open = redactor.open_end(&cleaned);
        let (said, held) = cleaned.split_at(cleaned.len() - open);
        self.held = held.to_owned();
        said.to_owned()
    }

    /// The rest, when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor() -> Redactor {
        let values: [&[u8]; 3] = [b"Bearer sk-secret-1", b"short", b"a\"quoted\"one"];
        Redactor::new(values.into_iter())
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        let redactor = redactor();
        for (text, said) in [
            ("Bearer sk-secret-1", "Bearer [key]"),
            ("sk-secret-1sk-secret-1 short", "[key][key] short"),
            (r#"{"x":"a\"quoted\"one"}"#, r#"{"x":"[key]"}"#),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redactor.clean(text), said);
        }
        assert_eq!(format!("{redactor:?}"), "Redactor(..)");
    }

    #[test]
    fn only_the_beginning_of_a_secret_is_held_back() {
        let (redactor, mut pieces) = (redactor(), Pieces::default());
        assert_eq!(pieces.push(&redactor, "it is sk-"), "it is ");
        assert_eq!(pieces.push(&redactor, "y"), "sk-y");
        assert_eq!(pieces.push(&redactor, "sk-secr"), "");
        assert_eq!(pieces.push(&redactor, "et-1 x"), "[key] x");
        assert_eq!(pieces.push(&redactor, "ask"), "a");
        assert_eq!(pieces.finish(), "sk");
    }

    proptest! {
        #[test]
        fn pieces_come_to_the_same_as_the_whole(pieces in proptest::collection::vec("(sk-secret-1|sk-|[a-zü ])*", 0..8)) {
            let redactor = Redactor::new(std::iter::once(&b"Bearer sk-secret-1"[..]));
            let mut stream = Pieces::default();
            let mut said = String::new();
            for piece in &pieces {
                said.push_str(&stream.push(&redactor, piece));
            }
            said.push_str(&stream.finish());
            prop_assert_eq!(said, redactor.clean(&pieces.concat()).into_owned());
        }
    }
}

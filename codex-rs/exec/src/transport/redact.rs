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

    /// The same in place.
    pub(crate) fn clean_owned(&self, text: &mut String) {
        if let Cow::Owned(cleaned) = self.clean(text) {
            *text = cleaned;
        }
    }

    /// The same, where there is a text.
    pub(crate) fn clean_in(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.clean_owned(text);
        }
    }

    /// JSON with `[key]` for each secret in its strings, as they are when they are read; never in names of
    /// fields, nor in the `type` that says what an object is.
    pub(crate) fn clean_json<'a>(&self, json: &'a str) -> Cow<'a, str> {
        if self.secrets.is_empty() {
            return Cow::Borrowed(json);
        }
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        let mut is_type = false;
        while let Some((start, end)) = next_string(json, at) {
            at = end;
            let literal = json.get(start..end).unwrap_or_default();
            if json
                .get(end..)
                .is_some_and(|rest| rest.trim_start().starts_with(':'))
            {
                is_type = literal == "\"type\"";
                continue;
            }
            if std::mem::take(&mut is_type) {
                continue;
            }
            let Ok(text) = serde_json::from_str::<String>(literal) else {
                continue;
            };
            if let Cow::Owned(text) = self.clean(&text)
                && let Ok(literal) = serde_json::to_string(&text)
            {
                out.push_str(json.get(copied..start).unwrap_or_default());
                out.push_str(&literal);
                copied = end;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(json);
        }
        out.push_str(json.get(copied..).unwrap_or_default());
        Cow::Owned(out)
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

/// Where the next string of a JSON text is, with its quotation marks, from a place between two tokens.
fn next_string(json: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = json.as_bytes();
    let start = from + bytes.get(from..)?.iter().position(|byte| *byte == b'"')?;
    let mut at = start + 1;
    loop {
        at += match bytes.get(at)? {
            b'"' => return Some((start, at + 1)),
            b'\\' => 2,
            _ => 1,
        };
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
            (r#"a"quoted"one"#, "[key]"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redactor.clean(text), said);
        }
        assert_eq!(format!("{redactor:?}"), "Redactor(..)");
    }

    #[test]
    fn of_json_the_strings_are_cleaned_as_they_are_read() {
        let redactor = redactor();
        for (json, said) in [
            (r#"{"x":"a\"quoted\"one"}"#, r#"{"x":"[key]"}"#),
            (
                r#"{"x" : ["sk\u002dsecret-1", 1]}"#,
                r#"{"x" : ["[key]", 1]}"#,
            ),
            (
                r#"{"type":"sk-secret-1","sk-secret-1":"a\\"}"#,
                r#"{"type":"sk-secret-1","sk-secret-1":"a\\"}"#,
            ),
            (
                r#"{"type":{"a":"sk-secret-1"}}"#,
                r#"{"type":{"a":"[key]"}}"#,
            ),
            (r#"{"x":"cut"#, r#"{"x":"cut"#),
        ] {
            assert_eq!(redactor.clean_json(json), said);
        }
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

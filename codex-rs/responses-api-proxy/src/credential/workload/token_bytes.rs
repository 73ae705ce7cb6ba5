//! What a server says, without the tokens that it was sent: a description of an error may repeat them.

use crate::observe::printable::excerpt;

/// Fewer bytes than these of a token say nothing about it.
const FRAGMENT: usize = 12;

/// How much of a text is looked at, in bytes; more is not shown.
const MOST: usize = 2 * 1024;

/// The longest word that is shown of what a server says: what is longer may be a token that is not known here.
pub(super) const LONGEST_WORD: usize = 100;

/// Texts that are not to be shown, nor any part of them, in any case of letters; nor a word that is longer than so many
/// bytes.
pub(crate) struct AreTokens<'a>(pub(crate) &'a [&'a [u8]], pub(crate) usize);

impl AreTokens<'_> {
    /// The beginning of a text, with asterisks for every part of a token, and nothing that a terminal obeys.
    pub(crate) fn kept_out_of(&self, text: &str) -> String {
        let mut end = text.len().min(MOST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        let mut is_hidden = vec![false; text.len()];
        for (at, part) in text.as_bytes().windows(FRAGMENT).enumerate() {
            let is_in = |token: &&[u8]| {
                let mut parts = token.windows(FRAGMENT);
                parts.any(|of| of.eq_ignore_ascii_case(part))
            };
            if self.0.iter().any(is_in) {
                is_hidden
                    .iter_mut()
                    .skip(at)
                    .take(FRAGMENT)
                    .for_each(|hidden| *hidden = true);
            }
        }
        let shown: String = text
            .char_indices()
            .map(|(at, character)| match is_hidden.get(at) {
                Some(true) => '*',
                _ => character,
            })
            .collect();
        let words = shown.split_inclusive(|c: char| !is_of_a_token(c));
        let short = words.map(|word| {
            let length = word.trim_end_matches(|c: char| !is_of_a_token(c)).len();
            if length > self.1 {
                format!("***{}", word.get(length..).unwrap_or_default())
            } else {
                word.to_owned()
            }
        });
        excerpt(&short.collect::<String>())
    }
}

fn is_of_a_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~+/=*".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvIn0.c2lnbmF0dXJl";

    fn kept_out_of(text: &str) -> String {
        AreTokens(&[b"", TOKEN], LONGEST_WORD).kept_out_of(text)
    }

    #[test]
    fn no_part_of_a_token_is_left() {
        let token = std::str::from_utf8(TOKEN).unwrap();
        for start in 0..=TOKEN.len() - FRAGMENT {
            let said = format!("bad token ({}!)", &token[start..start + FRAGMENT]);
            assert_eq!(kept_out_of(&said), "bad token (************!)");
        }
        let said = format!("{token} is not {token}x");
        let stars = "*".repeat(TOKEN.len());
        assert_eq!(kept_out_of(&said), format!("{stars} is not {stars}x"));
        assert_eq!(kept_out_of(&token[..11]), token[..11]);
        // Hosts are written in lower case.
        assert_eq!(kept_out_of(&token.to_ascii_lowercase()), stars);
    }

    #[test]
    fn what_looks_like_another_token_is_not_shown() {
        let long = "a1-_.~+/=".repeat(12);
        assert_eq!(kept_out_of(&format!("see {long}, and")), "see ***, and");
        let url = "https://platform.openai.com/docs/guides/workload-identity-federation";
        assert_eq!(kept_out_of(url), url);
    }

    #[test]
    fn it_is_short_and_printable() {
        assert_eq!(kept_out_of("a\u{1b}[2J\nü"), "a\\u{1b}[2J\\nü");
        assert!(kept_out_of(&"word ".repeat(1000)).len() <= 300);
        assert!(kept_out_of(&"ü".repeat(5000)).len() <= 300);
    }
}

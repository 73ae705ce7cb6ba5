//! What a line or a message of ours shows of text that comes from elsewhere.
//!
//! The cause of a fault can hold what the upstream made up: a name in its certificate,
//! the host of a redirect. An upstream that knows the key can put it there, and control
//! characters that a terminal obeys. So every line to standard error and every message
//! in an answer passes through here: the whole key is replaced, in any case of letters
//! (host names are written in lower case), and control characters are escaped.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// How much of a text from elsewhere is shown, in bytes.
const EXCERPT: usize = 300;

/// Finds the key in a text.
pub(crate) trait FindKey: Sync {
    /// Where all of it stands, in any case of letters.
    fn places(&self, text: &[u8]) -> Vec<Range<usize>>;
}

/// The key of this process, from when it is known. A process has one.
static KEY: OnceLock<&'static dyn FindKey> = OnceLock::new();

/// There is a key already, another one.
#[derive(Debug)]
pub(crate) struct KeyKnown;

impl fmt::Display for KeyKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this process has an API key already; start another one for another key")
    }
}

impl std::error::Error for KeyKnown {}

/// From now on no text has this key in it.
///
/// # Errors
///
/// [`KeyKnown`], if there was one before: it would not be looked for any more.
pub(crate) fn keep_out(key: &'static dyn FindKey) -> Result<(), KeyKnown> {
    KEY.set(key).map_err(|_| KeyKnown)
}

/// The text without the key, and with control and format characters escaped as in Rust (`\u{1b}`).
pub(crate) fn printable(text: &str) -> String {
    shown(text, KEY.get().copied())
}

/// The beginning of it, for a text whose author and length are not ours.
pub(crate) fn excerpt(text: &str) -> String {
    // Cut last: what remains of a key that is cut would not be known as one.
    cut(printable(text), EXCERPT)
}

/// As [`printable`], cut at `most` bytes; a text that is short and plain already is not copied.
pub(crate) fn printable_within(text: &str, most: usize) -> Cow<'_, str> {
    let is_plain = text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain
        && KEY
            .get()
            .is_none_or(|key| key.places(text.as_bytes()).is_empty())
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cut(printable(text), most))
}

fn shown(text: &str, key: Option<&dyn FindKey>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for place in key.map_or_else(Vec::new, |key| key.places(text.as_bytes())) {
        if let Some(key) = bytes.get_mut(place) {
            key.fill(b'*');
        }
    }
    // The key is ASCII, and so is what is in its place.
    let text = String::from_utf8_lossy(&bytes);
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_debug());
        } else if is_format(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// What has no shape of its own: it changes the order of what is shown, separates lines, or hides in a text that reads
/// the same without it. Of the general categories Cf, Zl and Zp of Unicode, and the tags (U+E0000 and on).
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn cut(mut text: String, most: usize) -> String {
    const MORE: &str = "...";
    if text.len() > most {
        let mut end = most - MORE.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-Test-0123456789";

    struct Plainly(&'static str);

    impl FindKey for Plainly {
        fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
            let len = self.0.len();
            let windows = text.windows(len).enumerate();
            let found = windows.filter(|(_, part)| part.eq_ignore_ascii_case(self.0.as_bytes()));
            found.map(|(at, _)| at..at + len).collect()
        }
    }

    fn without_key(text: &str) -> String {
        shown(text, Some(&Plainly(KEY)))
    }

    #[test]
    fn the_whole_key_is_replaced_in_any_case_of_letters() {
        let stars = "*".repeat(KEY.len());
        for key in [KEY, "sk-test-0123456789", "SK-TEST-0123456789"] {
            assert_eq!(
                without_key(&format!("https://{key}.example, {key}{key}")),
                format!("https://{stars}.example, {stars}{stars}")
            );
        }
        assert_eq!(without_key(&KEY[1..]), KEY[1..]);
        assert_eq!(without_key(""), "");
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(
            without_key("a\u{1b}[2Jb\nc\rd\te\u{9b}f\u{7f}\u{202e}g \u{fffd} ü \u{1f600}"),
            "a\\u{1b}[2Jb\\nc\\rd\\te\\u{9b}f\\u{7f}\\u{202e}g \u{fffd} ü \u{1f600}"
        );
        let line = format!("\u{1b}]0;{KEY}\u{7}");
        assert!(!without_key(&line).contains(KEY));
    }

    #[test]
    fn what_has_no_shape_of_its_own_is_escaped() {
        for (first, last) in [
            (0xad, 0xad),
            (0x61c, 0x61c),
            (0x180e, 0x180e),
            (0x200b, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x2064),
            (0x2066, 0x206f),
            (0xfeff, 0xfeff),
            (0xfff9, 0xfffb),
            (0xe0000, 0xe007f),
        ] {
            for code in first..=last {
                let character = char::from_u32(code).unwrap();
                assert_eq!(
                    without_key(&format!("a{character}b")),
                    format!("a\\u{{{code:x}}}b")
                );
            }
        }
        let text = "\u{ac}\u{ae}\u{200a}\u{2010}\u{2070}\u{fffc}";
        assert_eq!(without_key(text), text);
    }

    #[test]
    fn an_excerpt_is_cut_between_characters_and_after_the_key_is_out() {
        assert_eq!(cut("x".repeat(300), 300), "x".repeat(300));
        assert_eq!(cut("x".repeat(301), 300), format!("{}...", "x".repeat(297)));
        assert_eq!(cut("ü".repeat(10), 8), "üü...");
        for before in 280..300 {
            let text = format!("{}{KEY}", "x".repeat(before));
            let cut = cut(without_key(&text), EXCERPT);
            assert!(cut.len() <= EXCERPT && !cut.contains("sk-"), "{cut}");
        }
    }
}

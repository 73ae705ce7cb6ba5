//! Pure: what a terminal may be shown of a text that somebody else wrote.
//!
//! Escape sequences can move the cursor, rename the window, fill the clipboard or answer in the
//! user's place. Each begins with a control character, so it is enough to look at characters one by
//! one, and no sequence escapes by arriving in two pieces.

use std::borrow::Cow;

/// Stands for a character that has no picture of its own.
const REPLACEMENT: char = '\u{fffd}';

/// The text with every character that steers a terminal replaced by a visible one.
#[must_use]
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| visible(c) == c) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(visible).collect())
}

/// The same in one line.
#[must_use]
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    printable(&words.join(" ")).into_owned()
}

/// How much of a name is shown that a server gave, in characters.
pub(crate) const MAX_NAME: usize = 100;

/// The beginning of a text, in one line, of at most so many characters.
#[must_use]
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    // A word may be as long as an event: no more of it is looked at than can be shown.
    let end = text.char_indices().nth(most.saturating_mul(4));
    let beginning = end.map_or(text, |(end, _)| text.get(..end).unwrap_or(text));
    let line = one_line(beginning);
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None if beginning.len() < text.len() => format!("{line}…"),
        None => line,
    }
}

/// The character itself, or what is shown for one that steers a terminal.
fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        // Unicode has pictures of these 32, in the same order, and of DEL.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(REPLACEMENT),
        '\u{7f}' => '\u{2421}',
        // C1: some terminals take U+009B for ESC [.
        '\u{80}'..='\u{9f}' => REPLACEMENT,
        // Separators, which some terminals take for a new line. Marks of direction stay: they are part of how
        // Arabic and Hebrew are written, and change no more than the place of a word's punctuation.
        '\u{2028}' | '\u{2029}' => REPLACEMENT,
        // Embeddings, overrides and isolates make text read as what it is not
        // (Unicode Technical Report 36, section 2.3).
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => REPLACEMENT,
        // Tags cannot be seen, and can hold a whole text that a person copies along.
        '\u{e0000}'..='\u{e007f}' => REPLACEMENT,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_become_pictures() {
        assert_eq!(
            printable("a\u{1b}[31mred\u{7}\r\u{7f}\u{9b}2J\u{202e}b\n\tc"),
            "a␛[31mred␇␍␡\u{fffd}2J\u{fffd}b\n\tc"
        );
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        let text = "Grüße, 世界 🎉 שלום\n\tend";
        assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line(" a\n\nb\u{1b}c\r\n"), "a b␛c");
    }

    #[test]
    fn marks_that_cannot_be_seen_are_shown() {
        assert_eq!(
            printable("a\u{2028}\u{2029}\u{e0041}\u{e007f}b"),
            format!("a{}b", "\u{fffd}".repeat(4))
        );
    }

    #[test]
    fn marks_of_direction_stay_and_overrides_do_not() {
        let text = "\u{200f}שלום\u{200e} \u{61c}";
        assert_eq!(printable(text), text);
        assert_eq!(printable("a\u{202e}\u{2066}b"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt(" a\n b ", 300), "a b");
        assert_eq!(excerpt(&"ü".repeat(1000), 300).chars().count(), 301);
        assert_eq!(excerpt(&" ".repeat(5000), 300), "…");
    }

    proptest! {
        #[test]
        fn pieces_come_to_the_same_as_the_whole(a in "\\PC*|[\u{0}-\u{9f}\u{2020}-\u{2070}]*", b in "[\u{0}-\u{9f}]*") {
            let whole = format!("{a}{b}");
            prop_assert_eq!(printable(&whole), format!("{}{}", printable(&a), printable(&b)));
            let is_steering = |c: char| c.is_control() && c != '\n' && c != '\t';
            prop_assert!(!printable(&whole).contains(is_steering));
        }
    }
}

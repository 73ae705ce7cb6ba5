//! Pure: what a terminal is shown of text that callers or an upstream chose, such as the name of a model.
//!
//! The proxy escapes it before it says it; whoever answers on a socket need not be one.

use unicode_width::UnicodeWidthChar;

/// The text with every character escaped (`\u{1b}`) that a terminal obeys, that changes the order of what is shown, or
/// that has no width of its own; in one line.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // These have a width, by Unicode's rules for terminals, and end a line nevertheless.
            '\u{2028}' | '\u{2029}' => shown.extend(character.escape_unicode()),
            _ if character.width().is_none_or(|width| width == 0) => {
                shown.extend(character.escape_unicode());
            }
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_hides_is_escaped_and_all_else_is_shown() {
        for (text, shown) in [
            ("gpt-5.6", "gpt-5.6"),
            ("größer 模型 ✓", "größer 模型 ✓"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            (
                "\u{202e}gpt\u{2066}\u{200b}",
                "\\u{202e}gpt\\u{2066}\\u{200b}",
            ),
            ("\u{2028}\u{e0041}\u{feff}", "\\u{2028}\\u{e0041}\\u{feff}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}

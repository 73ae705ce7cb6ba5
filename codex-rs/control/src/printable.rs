//! Pure: what a terminal is shown of text that callers or an upstream chose, such as the name of a model.
//!
//! The proxy escapes it before it says it; whoever answers on a socket need not be one.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// The text with every character escaped (`\u{1b}`) that a terminal obeys, that changes the order of what is shown, or
/// that has no width of its own; in one line.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_shown(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// A JSON document with the same characters escaped as JSON has it: they are in its strings alone.
pub(crate) fn printable_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || is_shown(character) {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

fn is_shown(character: char) -> bool {
    // The latter have a width, by Unicode's rules for terminals, and end a line nevertheless.
    character.width().is_some_and(|width| width > 0)
        && !matches!(character, '\u{2028}' | '\u{2029}')
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

    #[test]
    fn a_document_says_the_same_without_them() {
        let names = [
            "\u{9b}2J",
            "\u{202e}gpt",
            "\u{e0041}",
            "größer 模型",
            "a\"b\\\n",
        ];
        let document = serde_json::to_string_pretty(&names).unwrap();
        let shown = printable_json(&document);
        assert!(
            shown.chars().all(|it| it == '\n' || is_shown(it)),
            "{shown}"
        );
        let read: Vec<String> = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, names);
    }
}

//! Why a request is denied, in words for whoever made it.

use std::fmt;

/// What a request was denied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeniedCode {
    /// For the model that it asks for.
    Model,
    /// For something else that it asks for, or does not say.
    Request,
    /// For who makes it.
    Caller,
}

/// The policy does not allow a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What for.
    pub code: DeniedCode,
    /// One line. What it quotes of the request is shortened, and without control characters.
    pub message: String,
}

impl Denied {
    pub(crate) fn model(message: String) -> Self {
        let code = DeniedCode::Model;
        Self { code, message }
    }

    pub(crate) fn request(message: String) -> Self {
        let code = DeniedCode::Request;
        Self { code, message }
    }

    pub(crate) fn caller(message: String) -> Self {
        let code = DeniedCode::Caller;
        Self { code, message }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Denied {}

/// The most characters of a text chosen by a caller that a message quotes.
const QUOTED: usize = 100;

/// Text chosen by a caller, as a message may quote it: shortened, and with escapes in place of characters that
/// do not print.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for character in text.chars() {
        let escaped = match character {
            '"' | '\'' => character.to_string(),
            _ => character.escape_debug().to_string(),
        };
        length += escaped.chars().count();
        if length > QUOTED {
            shown.push('…');
            break;
        }
        shown.push_str(&escaped);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_printable_text_is_quoted_as_it_is() {
        assert_eq!(quoted("gpt-5 \"mini\" 'é'"), "gpt-5 \"mini\" 'é'");
        assert_eq!(quoted(&"é".repeat(100)), "é".repeat(100));
    }

    #[test]
    fn long_text_is_shortened() {
        assert_eq!(quoted(&"é".repeat(101)), format!("{}…", "é".repeat(100)));
    }

    #[test]
    fn escapes_count_as_written_and_are_not_cut() {
        assert_eq!(
            quoted("a\r\n\u{1b}[31m\u{202e}\\"),
            "a\\r\\n\\u{1b}[31m\\u{202e}\\\\"
        );
        assert_eq!(quoted(&"\0".repeat(60)), format!("{}…", "\\0".repeat(50)));
        assert_eq!(
            quoted(&format!("{}\n", "a".repeat(99))),
            format!("{}…", "a".repeat(99))
        );
    }
}

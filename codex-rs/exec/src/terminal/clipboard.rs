//! Pure: the sequence by which a terminal takes text into the clipboard (OSC 52), also over ssh.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What common terminals take at most, in bytes of base64.
const MOST: usize = 74_994;

/// The sequence; `None` if the text is longer than terminals take.
pub(super) fn sequence(text: &str) -> Option<String> {
    let encoded = STANDARD.encode(text);
    (encoded.len() <= MOST).then(|| format!("\u{1b}]52;c;{encoded}\u{7}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_as_a_terminal_takes_it() {
        assert_eq!(
            sequence("a\u{1b}b").as_deref(),
            Some("\u{1b}]52;c;YRti\u{7}")
        );
        assert_eq!(sequence(&"x".repeat(60_000)), None);
    }
}

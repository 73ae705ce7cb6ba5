//! Bytes that arrive in pieces, as text and as a JSON string. Pure.

use std::borrow::Cow;

/// The longest beginning of a character that is not all of it, in bytes.
const LONGEST_BEGINNING: usize = 3;

/// Bytes on their way, read as UTF-8: what is not becomes U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Utf8Pieces {
    /// The beginning of a character at the end of what came so far.
    begun: Vec<u8>,
}

impl Utf8Pieces {
    /// The text of a piece, without a character that is not all there at its end. Owned by itself if anything in
    /// it was not UTF-8; then `true` comes with it.
    pub(super) fn take<'a>(&mut self, piece: &'a [u8]) -> (Cow<'a, str>, bool) {
        let joined = if self.begun.is_empty() {
            Cow::Borrowed(piece)
        } else {
            let mut joined = std::mem::take(&mut self.begun);
            joined.extend_from_slice(piece);
            Cow::Owned(joined)
        };
        let (whole, begun) = joined.split_at(joined.len() - begun_at_end(&joined));
        self.begun.extend_from_slice(begun);
        let is_broken = std::str::from_utf8(whole).is_err();
        let whole = whole.len();
        let text = match joined {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes.get(..whole).unwrap_or_default()),
            Cow::Owned(mut bytes) => {
                bytes.truncate(whole);
                Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
            }
        };
        (text, is_broken)
    }

    /// Whether a character at the end was not all there; U+FFFD stands for it.
    pub(super) fn is_broken_at_the_end(&self) -> bool {
        !self.begun.is_empty()
    }
}

/// How many bytes at the end begin a character and are not all of it.
fn begun_at_end(bytes: &[u8]) -> usize {
    (1..=LONGEST_BEGINNING.min(bytes.len()))
        .find(|&length| {
            let (_, end) = bytes.split_at(bytes.len() - length);
            std::str::from_utf8(end)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

/// Appends a text as it stands in a JSON string, without the quotation marks.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest
        .iter()
        .position(|&byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        let (plain, behind) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = behind.split_first() else {
            return;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], piece: usize) -> (String, bool) {
        let mut pieces = Utf8Pieces::default();
        let mut text = String::new();
        let mut is_broken = false;
        for piece in bytes.chunks(piece) {
            let (more, broken) = pieces.take(piece);
            text.push_str(&more);
            is_broken |= broken;
        }
        if pieces.is_broken_at_the_end() {
            text.push('\u{fffd}');
            is_broken = true;
        }
        (text, is_broken)
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "a é € 😀 z";
        for piece in 1..text.len() {
            assert_eq!(read(text.as_bytes(), piece), (text.to_owned(), false));
        }
        assert_eq!(read(b"\xf0\x9f\x98", 1), ("\u{fffd}".to_owned(), true));
        assert_eq!(read(b"\xff{", 1), ("\u{fffd}{".to_owned(), true));
    }

    #[test]
    fn a_string_is_written_as_serde_json_does() {
        let text: String = (0..0x250_u32).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        escape(&text, &mut out);
        let expected = serde_json::to_string(&text).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected[1..expected.len() - 1]
        );
    }

    proptest! {
        #[test]
        fn pieces_read_as_the_whole_does(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'x'), Just(0xe2), Just(0x82), Just(0xac)], 0..40),
            piece in 1_usize..9,
        ) {
            let whole = String::from_utf8_lossy(&bytes).into_owned();
            let is_broken = std::str::from_utf8(&bytes).is_err();
            prop_assert_eq!(read(&bytes, piece), (whole, is_broken));
        }
    }
}

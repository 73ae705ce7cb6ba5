//! Pure: text in whatever encoding it comes.

/// Text, and how it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// How many lines were not UTF-8 and were read as Latin-1.
    latin_1_lines: usize,
}

impl Decoded {
    /// What has to be said about it. `name` is where it comes from.
    pub(crate) fn note(&self, name: &str) -> Option<String> {
        let lines = match self.latin_1_lines {
            0 => return None,
            1 => format!("1 line of {name} is"),
            n => format!("{n} lines of {name} are"),
        };
        Some(format!("{lines} not UTF-8 and read as Latin-1"))
    }
}

/// UTF-8, with lines of Latin-1 in it as logs have them, or UTF-16 with a byte order mark, which goes. `None` if
/// it is no text.
pub(crate) fn decode(bytes: Vec<u8>) -> Option<Decoded> {
    let whole = |text| Decoded {
        text,
        latin_1_lines: 0,
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => return utf_16(rest, u16::from_le_bytes).map(whole),
        [0xfe, 0xff, rest @ ..] => return utf_16(rest, u16::from_be_bytes).map(whole),
        _ => {}
    }
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Some(whole(text)),
        Err(error) => error.into_bytes(),
    };
    if bytes.contains(&0) {
        return None;
    }
    let (mut text, mut latin_1_lines) = (String::with_capacity(bytes.len()), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            text.push_str(line);
        } else {
            latin_1_lines += 1;
            // Its characters are the first 256 of Unicode.
            text.extend(line.iter().copied().map(char::from));
        }
    }
    Some(Decoded {
        text,
        latin_1_lines,
    })
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().copied().map(unit);
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_that_pipes_bring() {
        for (bytes, text, note) in [
            (&b"a\xc3\xbc"[..], Some("aü"), None),
            (b"\xef\xbb\xbfa", Some("a"), None),
            (b"\xff\xfea\0\x3d\xd8\x00\xde", Some("a\u{1f600}"), None),
            (b"\xfe\xff\0a", Some("a"), None),
            (b"\xff\xfea", None, None),
            (
                b"\xc3\xbc\nGr\xfc\xdfe\nx",
                Some("ü\nGrüße\nx"),
                Some("1 line of F is not UTF-8 and read as Latin-1"),
            ),
            (b"\x00\xff", None, None),
        ] {
            let decoded = decode(bytes.to_vec());
            assert_eq!(decoded.as_ref().map(|d| d.text.as_str()), text);
            assert_eq!(decoded.and_then(|d| d.note("F")).as_deref(), note);
        }
    }
}

//! HPACK's Huffman code (RFC 7541, appendix B) for the characters a credential has. Pure.
//!
//! An HTTP/2 client writes header values in this code, so a copy of the key on
//! its way to an HTTP/2 upstream does not look like the key. Two strings can
//! stand for each other on the wire only if their codes are equally long.

/// The characters of a key, and the code and length in bits of each.
const ALPHABET: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const CODES: [(u8, u32); 64] = [
    (0x16, 6),
    (0x00, 5),
    (0x01, 5),
    (0x02, 5),
    (0x19, 6),
    (0x1a, 6),
    (0x1b, 6),
    (0x1c, 6),
    (0x1d, 6),
    (0x1e, 6),
    (0x1f, 6),
    (0x21, 6),
    (0x5d, 7),
    (0x5e, 7),
    (0x5f, 7),
    (0x60, 7),
    (0x61, 7),
    (0x62, 7),
    (0x63, 7),
    (0x64, 7),
    (0x65, 7),
    (0x66, 7),
    (0x67, 7),
    (0x68, 7),
    (0x69, 7),
    (0x6a, 7),
    (0x6b, 7),
    (0x6c, 7),
    (0x6d, 7),
    (0x6e, 7),
    (0x6f, 7),
    (0x70, 7),
    (0x71, 7),
    (0x72, 7),
    (0xfc, 8),
    (0x73, 7),
    (0xfd, 8),
    (0x22, 6),
    (0x03, 5),
    (0x23, 6),
    (0x04, 5),
    (0x24, 6),
    (0x05, 5),
    (0x25, 6),
    (0x26, 6),
    (0x27, 6),
    (0x06, 5),
    (0x74, 7),
    (0x75, 7),
    (0x28, 6),
    (0x29, 6),
    (0x2a, 6),
    (0x07, 5),
    (0x2b, 6),
    (0x76, 7),
    (0x2c, 6),
    (0x08, 5),
    (0x09, 5),
    (0x2d, 6),
    (0x77, 7),
    (0x78, 7),
    (0x79, 7),
    (0x7a, 7),
    (0x7b, 7),
];
/// The space after `Bearer`.
const SPACE: (u8, u32) = (0x14, 6);

/// The character at `index` modulo 64.
pub(super) fn letter(index: u8) -> u8 {
    ALPHABET
        .get(usize::from(index % 64))
        .copied()
        .unwrap_or(b'-')
}

/// Code and length in bits; `None` for what is in no credential.
fn code(byte: u8) -> Option<(u8, u32)> {
    if byte == b' ' {
        return Some(SPACE);
    }
    let at = ALPHABET.binary_search(&byte).ok()?;
    CODES.get(at).copied()
}

/// The length of `text` in this code, in bits.
pub(super) fn bits(text: &[u8]) -> u32 {
    text.iter()
        .map(|&byte| code(byte).map_or(0, |(_, bits)| bits))
        .sum()
}

/// Writes the code of `text` to `out`, the last byte filled up with ones
/// (RFC 7541, section 5.2); returns how many bytes that is. `None` if `text` has
/// a character without a code here or `out` is too small.
pub(super) fn encode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut pending: u32 = 0;
    let mut pending_bits = 0;
    let mut written = 0;
    let mut put = |byte: u32| -> Option<()> {
        *out.get_mut(written)? = u8::try_from(byte & 0xff).ok()?;
        written += 1;
        Some(())
    };
    for &byte in text {
        let (code, bits) = code(byte)?;
        pending = (pending << bits) | u32::from(code);
        pending_bits += bits;
        while pending_bits >= 8 {
            pending_bits -= 8;
            put(pending >> pending_bits)?;
        }
        pending &= (1 << pending_bits) - 1;
    }
    if pending_bits > 0 {
        let fill = 8 - pending_bits;
        put((pending << fill) | ((1 << fill) - 1))?;
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = vec![0; text.len() + 1];
        let len = encode(text.as_bytes(), &mut out).unwrap();
        out.truncate(len);
        out
    }

    #[test]
    fn the_alphabet_is_sorted_and_is_what_keys_are_made_of() {
        assert!(ALPHABET.is_sorted());
        assert!(
            ALPHABET
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        );
    }

    /// RFC 7541, appendix C.6.1: `302` is 6402; C.4.3: `custom-key` and
    /// `custom-value` are 25a849e95ba97d7f and 25a849e95bb8e8b4bf.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(encoded("302"), [0x64, 0x02]);
        assert_eq!(
            encoded("custom-key"),
            [0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f]
        );
        assert_eq!(
            encoded("custom-value"),
            [0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf]
        );
    }

    #[test]
    fn the_scheme_ends_on_a_byte() {
        assert_eq!(bits(b"Bearer "), 40);
    }

    #[test]
    fn what_has_no_code_here_and_what_does_not_fit_is_said() {
        assert_eq!(encode(b"a/b", &mut [0; 8]), None);
        assert_eq!(encode(b"abcdef", &mut [0; 2]), None);
    }

    /// The code is a prefix code over this alphabet, so no two strings share a form.
    #[test]
    fn no_code_begins_another() {
        for (at, &(code, bits)) in CODES.iter().enumerate() {
            for (other_at, &(other, other_bits)) in CODES.iter().enumerate() {
                if at != other_at && bits <= other_bits {
                    assert_ne!(u32::from(code), u32::from(other) >> (other_bits - bits));
                }
            }
        }
    }
}

//! HPACK's Huffman code (RFC 7541, appendix B) for the characters a credential has. Pure.
//!
//! An HTTP/2 client writes header values in this code, so a copy of the key on
//! its way to an HTTP/2 upstream does not look like the key. Two strings can
//! stand for each other on the wire only if their codes are equally long.

/// Letters of which a placeholder is made, drawn by chance.
const LETTERS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
/// Characters whose codes are longer than those of any letter: for placeholders of credentials that
/// have many `+` or `~`.
pub(super) const LONG: &[u8; 4] = b"+~{\\";

/// The characters of a credential (RFC 6750, section 2.1: token68), of a placeholder, and the space
/// after `Bearer`; the code and its length in bits of each. In the order of the characters.
const CODES: [(u8, u32, u32); 72] = [
    (b' ', 0x14, 6),
    (b'+', 0x7fb, 11),
    (b'-', 0x16, 6),
    (b'.', 0x17, 6),
    (b'/', 0x18, 6),
    (b'0', 0x0, 5),
    (b'1', 0x1, 5),
    (b'2', 0x2, 5),
    (b'3', 0x19, 6),
    (b'4', 0x1a, 6),
    (b'5', 0x1b, 6),
    (b'6', 0x1c, 6),
    (b'7', 0x1d, 6),
    (b'8', 0x1e, 6),
    (b'9', 0x1f, 6),
    (b'=', 0x20, 6),
    (b'A', 0x21, 6),
    (b'B', 0x5d, 7),
    (b'C', 0x5e, 7),
    (b'D', 0x5f, 7),
    (b'E', 0x60, 7),
    (b'F', 0x61, 7),
    (b'G', 0x62, 7),
    (b'H', 0x63, 7),
    (b'I', 0x64, 7),
    (b'J', 0x65, 7),
    (b'K', 0x66, 7),
    (b'L', 0x67, 7),
    (b'M', 0x68, 7),
    (b'N', 0x69, 7),
    (b'O', 0x6a, 7),
    (b'P', 0x6b, 7),
    (b'Q', 0x6c, 7),
    (b'R', 0x6d, 7),
    (b'S', 0x6e, 7),
    (b'T', 0x6f, 7),
    (b'U', 0x70, 7),
    (b'V', 0x71, 7),
    (b'W', 0x72, 7),
    (b'X', 0xfc, 8),
    (b'Y', 0x73, 7),
    (b'Z', 0xfd, 8),
    (b'\\', 0x7fff0, 19),
    (b'_', 0x22, 6),
    (b'a', 0x3, 5),
    (b'b', 0x23, 6),
    (b'c', 0x4, 5),
    (b'd', 0x24, 6),
    (b'e', 0x5, 5),
    (b'f', 0x25, 6),
    (b'g', 0x26, 6),
    (b'h', 0x27, 6),
    (b'i', 0x6, 5),
    (b'j', 0x74, 7),
    (b'k', 0x75, 7),
    (b'l', 0x28, 6),
    (b'm', 0x29, 6),
    (b'n', 0x2a, 6),
    (b'o', 0x7, 5),
    (b'p', 0x2b, 6),
    (b'q', 0x76, 7),
    (b'r', 0x2c, 6),
    (b's', 0x8, 5),
    (b't', 0x9, 5),
    (b'u', 0x2d, 6),
    (b'v', 0x77, 7),
    (b'w', 0x78, 7),
    (b'x', 0x79, 7),
    (b'y', 0x7a, 7),
    (b'z', 0x7b, 7),
    (b'{', 0x7ffe, 15),
    (b'~', 0x1ffd, 13),
];

/// The character at `index` modulo 64.
pub(super) fn letter(index: u8) -> u8 {
    LETTERS
        .get(usize::from(index % 64))
        .copied()
        .unwrap_or(b'-')
}

/// Code and length in bits; `None` for what is in no credential.
fn code(byte: u8) -> Option<(u32, u32)> {
    let at = CODES.binary_search_by_key(&byte, |&(character, ..)| character);
    let &(_, code, bits) = CODES.get(at.ok()?)?;
    Some((code, bits))
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
        // At most 7 bits and 19.
        pending = (pending << bits) | code;
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
    use crate::credential::alphabet::{is_key_byte, is_token_byte};

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = vec![0; text.len() + 1];
        let len = encode(text.as_bytes(), &mut out).unwrap();
        out.truncate(len);
        out
    }

    #[test]
    fn the_table_is_sorted_and_has_all_that_credentials_and_placeholders_are_made_of() {
        assert!(CODES.is_sorted_by_key(|&(character, ..)| character));
        for byte in 0..=u8::MAX {
            let is_known = byte == b' ' || is_token_byte(byte) || LONG.contains(&byte);
            assert_eq!(code(byte).is_some(), is_known, "{byte}");
        }
        assert!(LETTERS.iter().all(|&byte| is_key_byte(byte)));
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
        assert_eq!(encode(b"a:b", &mut [0; 8]), None);
        assert_eq!(encode(b"abcdef", &mut [0; 2]), None);
    }

    /// The code is a prefix code over this alphabet, so no two strings share a form.
    #[test]
    fn no_code_begins_another() {
        for (at, &(_, code, bits)) in CODES.iter().enumerate() {
            for (other_at, &(_, other, other_bits)) in CODES.iter().enumerate() {
                if at != other_at && bits <= other_bits {
                    assert_ne!(code, other >> (other_bits - bits));
                }
            }
        }
    }
}

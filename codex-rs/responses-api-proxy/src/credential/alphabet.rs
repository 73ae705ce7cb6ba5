//! What credentials are made of, and runs of that in a text, found by the class of bytes alone. Pure.

/// So many bytes are looked at together, which compilers do in one step.
const TOGETHER: usize = 16;

/// The characters that a credential can have: decided by where it comes from, never by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// OpenAI's keys: ASCII letters, digits, `-` and `_`.
    Key,
    /// Any bearer token (RFC 6750, section 2.1): `.`, `~`, `+`, `/` and `=` too.
    Token,
}

/// What OpenAI's keys are made of. Anything else is a paste gone wrong, and
/// could not stand in a header safely.
pub(crate) const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// What a bearer token can have in a header.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    is_key_byte(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
}

impl Alphabet {
    pub(crate) const fn contains(self, byte: u8) -> bool {
        match self {
            Self::Key => is_key_byte(byte),
            Self::Token => is_token_byte(byte),
        }
    }

    /// Where the last byte of `text` that is in no credential ends; 0 if there is none.
    pub(crate) fn end_of_others(self, text: &[u8]) -> usize {
        let mut end = text.len();
        // In ordinary text it is near the end, where it is found fastest one by one.
        for (index, some) in text.rchunks(TOGETHER).enumerate() {
            if index == 0 || !self.has_all(some) {
                let others = some.iter().rposition(|&byte| !self.contains(byte));
                if let Some(at) = others {
                    return end - some.len() + at + 1;
                }
            }
            end -= some.len();
        }
        0
    }

    /// How many bytes of a credential `text` begins with.
    pub(crate) fn run_at_start(self, text: &[u8]) -> usize {
        let whole = text.chunks(TOGETHER).take_while(|some| self.has_all(some));
        let run = whole.map(<[u8]>::len).sum();
        let rest = text.get(run..).unwrap_or_default().iter();
        run + rest.take_while(|&&byte| self.contains(byte)).count()
    }

    #[inline]
    fn has_all(self, bytes: &[u8]) -> bool {
        let Ok(bytes) = <&[u8; TOGETHER]>::try_from(bytes) else {
            return bytes.iter().all(|&byte| self.contains(byte));
        };
        // Arithmetic without a way out in between becomes a few vector instructions.
        match self {
            Self::Key => {
                bytes
                    .iter()
                    .fold(0, |others, &byte| others | no_key_byte(byte))
                    == 0
            }
            Self::Token => {
                bytes
                    .iter()
                    .fold(0, |others, &byte| others | no_token_byte(byte))
                    == 0
            }
        }
    }
}

/// 1 if it is not a key byte, 0 if it is.
fn no_key_byte(byte: u8) -> u8 {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    u8::from(!(is_letter | is_digit | (byte == b'-') | (byte == b'_')))
}

/// 1 if it is not a token byte, 0 if it is.
fn no_token_byte(byte: u8) -> u8 {
    let is_other =
        (byte == b'.') | (byte == b'~') | (byte == b'+') | (byte == b'/') | (byte == b'=');
    no_key_byte(byte) & u8::from(!is_other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_other_byte_among_many_is_seen_wherever_it_is() {
        for byte in 0..=u8::MAX {
            assert_eq!(no_key_byte(byte) == 0, is_key_byte(byte), "{byte}");
            assert_eq!(no_token_byte(byte) == 0, is_token_byte(byte), "{byte}");
        }
        for (alphabet, inside, outside) in
            [(Alphabet::Key, b'x', b'.'), (Alphabet::Token, b'.', b' ')]
        {
            for at in 0..40 {
                let mut text = [inside; 40];
                text[at] = outside;
                let found = (alphabet.run_at_start(&text), alphabet.end_of_others(&text));
                assert_eq!(found, (at, at + 1));
            }
            let all = [inside; 40];
            let found = (alphabet.run_at_start(&all), alphabet.end_of_others(&all));
            assert_eq!(found, (40, 0));
        }
    }
}

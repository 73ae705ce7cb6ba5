//! Strings (RFC 8259, section 7): valid UTF-8, no control characters, no surrogate without its other half.

use memchr::memchr2;

use super::super::malformed::Malformed;

/// A string that is being read, from after its first quotation mark on.
#[derive(Default)]
pub(super) struct Text {
    escape: Escape,
    /// The beginning of a character that was cut: up to 3 bytes.
    cut: Cut,
    /// The string itself, of which no more is kept than `limit`.
    kept: Vec<u8>,
    limit: usize,
    is_longer: bool,
}

#[derive(Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    /// After a backslash.
    Begun,
    /// After `\u`: how many digits were read, and their value.
    Unit { digits: u8, value: u16 },
    /// After the first half of a surrogate pair.
    High(u16),
    /// After that and a backslash.
    HighBegun(u16),
    /// In the second half.
    Low { high: u16, digits: u8, value: u16 },
}

#[derive(Clone, Copy, Default)]
struct Cut {
    bytes: [u8; 4],
    len: usize,
}

impl Text {
    /// A string begins of which at most `limit` bytes are to be kept.
    pub(super) fn begin(&mut self, limit: usize) {
        self.kept.clear();
        self.limit = limit;
        self.is_longer = false;
    }

    /// The string that ended; `None` if it is longer than the limit.
    pub(super) fn kept(&self) -> Option<&str> {
        if self.is_longer {
            return None;
        }
        str::from_utf8(&self.kept).ok()
    }

    /// Reads on: what follows the string, or `None` if it goes on.
    pub(super) fn push<'a>(&mut self, mut rest: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
        while let Some((&first, after)) = rest.split_first() {
            if !matches!(self.escape, Escape::None) {
                self.escaped(first)?;
                rest = after;
                continue;
            }
            let Some(end) = memchr2(b'"', b'\\', rest) else {
                self.plain(rest)?;
                return Ok(None);
            };
            let (plain, special) = rest.split_at_checked(end).ok_or(Malformed::NotJson)?;
            self.plain(plain)?;
            let (&special, after) = special.split_first().ok_or(Malformed::NotJson)?;
            if self.cut.len != 0 {
                return Err(Malformed::NotJson);
            }
            if special == b'"' {
                return Ok(Some(after));
            }
            self.escape = Escape::Begun;
            rest = after;
        }
        Ok(None)
    }

    /// Bytes without a quotation mark or a backslash.
    fn plain(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Nearly all text is ASCII: then one look at each byte is enough. Without an early end, so that it is done in vectors.
        let is_special = |byte: u8| byte.cast_signed() < b' '.cast_signed();
        if self.cut.len != 0
            || bytes
                .iter()
                .fold(false, |any, &byte| any | is_special(byte))
        {
            if bytes.iter().fold(false, |any, &byte| any | (byte < b' ')) {
                return Err(Malformed::NotJson);
            }
            self.cut.check(bytes)?;
        }
        self.keep(bytes);
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_longer {
            return;
        }
        if self.kept.len() + bytes.len() > self.limit {
            self.is_longer = true;
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    fn keep_char(&mut self, code: u32) -> Result<(), Malformed> {
        let decoded = char::from_u32(code).ok_or(Malformed::NotJson)?;
        self.keep(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        self.escape = Escape::None;
        Ok(())
    }

    fn escaped(&mut self, byte: u8) -> Result<(), Malformed> {
        match self.escape {
            Escape::Begun => {
                let decoded = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        self.escape = Escape::Unit {
                            digits: 0,
                            value: 0,
                        };
                        return Ok(());
                    }
                    _ => return Err(Malformed::NotJson),
                };
                self.keep_char(u32::from(decoded))
            }
            Escape::Unit { digits, value } => {
                let value = hexadecimal(value, byte)?;
                self.escape = match (digits, value) {
                    (3, 0xd800..=0xdbff) => Escape::High(value),
                    (3, _) => return self.keep_char(u32::from(value)),
                    _ => Escape::Unit {
                        digits: digits + 1,
                        value,
                    },
                };
                Ok(())
            }
            Escape::High(high) if byte == b'\\' => {
                self.escape = Escape::HighBegun(high);
                Ok(())
            }
            Escape::HighBegun(high) if byte == b'u' => {
                self.escape = Escape::Low {
                    high,
                    digits: 0,
                    value: 0,
                };
                Ok(())
            }
            Escape::Low {
                high,
                digits,
                value,
            } => {
                let value = hexadecimal(value, byte)?;
                if digits < 3 {
                    self.escape = Escape::Low {
                        high,
                        digits: digits + 1,
                        value,
                    };
                    return Ok(());
                }
                if !matches!(value, 0xdc00..=0xdfff) {
                    return Err(Malformed::NotJson);
                }
                let (high, low) = (u32::from(high & 0x3ff), u32::from(value & 0x3ff));
                self.keep_char(0x1_0000 + (high << 10 | low))
            }
            Escape::High(_) | Escape::HighBegun(_) | Escape::None => Err(Malformed::NotJson),
        }
    }
}

impl Cut {
    /// Checks that the bytes go on in UTF-8; what is cut at their end is kept.
    fn check(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        while self.len != 0 {
            let Some((&first, after)) = bytes.split_first() else {
                return Ok(());
            };
            let free = self.bytes.get_mut(self.len).ok_or(Malformed::NotJson)?;
            *free = first;
            self.len += 1;
            bytes = after;
            match str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(Malformed::NotJson),
                Err(_) => {}
            }
        }
        let Err(error) = str::from_utf8(bytes) else {
            return Ok(());
        };
        let cut = bytes.get(error.valid_up_to()..).unwrap_or_default();
        match (error.error_len(), self.bytes.get_mut(..cut.len())) {
            (None, Some(kept)) => {
                kept.copy_from_slice(cut);
                self.len = cut.len();
                Ok(())
            }
            _ => Err(Malformed::NotJson),
        }
    }
}

fn hexadecimal(value: u16, byte: u8) -> Result<u16, Malformed> {
    let digit = char::from(byte).to_digit(16).ok_or(Malformed::NotJson)?;
    Ok(value << 4 | digit as u16)
}

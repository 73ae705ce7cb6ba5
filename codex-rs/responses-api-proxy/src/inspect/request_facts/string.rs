//! A JSON string that arrives in pieces: checked whole, and kept as far as it may matter. Pure.

use memchr::memchr2;

use super::Malformed;

/// The longest text that is kept, in bytes, decoded. One that is longer cannot be anything that matters.
pub(super) const MAX_KEPT: usize = 256;

/// Where in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Text,
    /// Behind a backslash.
    Escape,
    /// Behind `\u` and so many of its digits.
    Hex {
        digits: u8,
        value: u16,
    },
}

/// Reads the string under way, from behind its opening quote.
#[derive(Debug)]
pub(super) struct StringReader {
    at: At,
    /// The first half of a surrogate pair, whose second has to follow.
    high: Option<u16>,
    /// The beginning of a character that was cut.
    cut: [u8; 4],
    cut_len: usize,
    keeps: bool,
    kept: Vec<u8>,
    is_too_long: bool,
}

impl Default for StringReader {
    fn default() -> Self {
        Self {
            at: At::Text,
            high: None,
            cut: [0; 4],
            cut_len: 0,
            keeps: false,
            kept: Vec::new(),
            is_too_long: false,
        }
    }
}

impl StringReader {
    /// A string begins, whose text is wanted or not.
    pub(super) fn begin(&mut self, keeps: bool) {
        self.at = At::Text;
        self.high = None;
        self.cut_len = 0;
        self.keeps = keeps;
        self.kept.clear();
        self.is_too_long = false;
    }

    /// The text of the string that has ended; `None` if it was longer than [`MAX_KEPT`].
    pub(super) fn text(&self) -> Option<&str> {
        if self.is_too_long {
            return None;
        }
        std::str::from_utf8(&self.kept).ok()
    }

    /// Reads on; how many bytes belong to the string, its closing quote included, and whether that was among them.
    ///
    /// # Errors
    ///
    /// It is not a string of RFC 8259 in UTF-8, or has half a surrogate pair.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.at != At::Text || self.high.is_some() {
                let Some(&byte) = rest.first() else { break };
                self.escaped(byte)?;
                at += 1;
                continue;
            }
            let end = memchr2(b'"', b'\\', rest);
            let run = end.map_or(rest, |end| rest.get(..end).unwrap_or(rest));
            self.run(run)?;
            at += run.len();
            let Some(end) = end else { break };
            // A character cannot end with a quote or a backslash.
            if self.cut_len > 0 {
                return Err(Malformed::NotJson);
            }
            at += 1;
            if rest.get(end) == Some(&b'"') {
                return Ok((at, true));
            }
            self.at = At::Escape;
        }
        Ok((at, false))
    }

    /// Characters that stand for themselves.
    fn run(&mut self, mut run: &[u8]) -> Result<(), Malformed> {
        // All of it, so that no branch depends on one byte.
        if run.iter().fold(false, |found, &byte| found | (byte < 0x20)) {
            return Err(Malformed::NotJson);
        }
        while self.cut_len > 0 {
            let Some((&byte, rest)) = run.split_first() else {
                return Ok(());
            };
            run = rest;
            let place = self.cut.get_mut(self.cut_len).ok_or(Malformed::NotJson)?;
            *place = byte;
            self.cut_len += 1;
            let character = self.cut;
            let character = character.get(..self.cut_len).unwrap_or_default();
            match std::str::from_utf8(character) {
                Ok(_) => {
                    self.keep(character);
                    self.cut_len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Malformed::NotJson),
            }
        }
        match std::str::from_utf8(run) {
            Ok(_) => self.keep(run),
            Err(error) if error.error_len().is_none() => {
                let (whole, cut) = run
                    .split_at_checked(error.valid_up_to())
                    .unwrap_or((run, &[]));
                self.keep(whole);
                let place = self.cut.get_mut(..cut.len()).ok_or(Malformed::NotJson)?;
                place.copy_from_slice(cut);
                self.cut_len = cut.len();
            }
            Err(_) => return Err(Malformed::NotJson),
        }
        Ok(())
    }

    /// A byte of an escape, or where the second half of a pair has to begin.
    fn escaped(&mut self, byte: u8) -> Result<(), Malformed> {
        match self.at {
            At::Text if byte == b'\\' => self.at = At::Escape,
            // Half a pair is not a character.
            At::Text => return Err(Malformed::NotJson),
            At::Escape => {
                let stands_for = match byte {
                    b'u' => {
                        self.at = At::Hex {
                            digits: 0,
                            value: 0,
                        };
                        return Ok(());
                    }
                    _ if self.high.is_some() => return Err(Malformed::NotJson),
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return Err(Malformed::NotJson),
                };
                self.keep(&[stands_for]);
                self.at = At::Text;
            }
            At::Hex { digits, value } => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed::NotJson)?;
                let value = (value << 4) | u16::try_from(digit).unwrap_or(0);
                if digits < 3 {
                    self.at = At::Hex {
                        digits: digits + 1,
                        value,
                    };
                } else {
                    self.at = At::Text;
                    self.unit(value)?;
                }
            }
        }
        Ok(())
    }

    /// A code unit of UTF-16.
    fn unit(&mut self, unit: u16) -> Result<(), Malformed> {
        let units = match self.high.take() {
            Some(high) => [high, unit],
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(unit);
                return Ok(());
            }
            None => [unit, 0],
        };
        let Some(Ok(character)) = char::decode_utf16(units).next() else {
            return Err(Malformed::NotJson);
        };
        self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn keep(&mut self, text: &[u8]) {
        if !self.keeps || self.is_too_long {
            return;
        }
        if self.kept.len() + text.len() > MAX_KEPT {
            self.is_too_long = true;
        } else {
            self.kept.extend_from_slice(text);
        }
    }
}

//! Follows the frames of an HTTP/2 client (RFC 9113) through TLS records. Pure.
//!
//! One record can hold several frames and one frame can lie in several records.
//! Only header blocks are looked into, each for exactly one placeholder.

use super::matcher::{Desynchronized, Matcher, Splice};
use super::{CredentialSubstitution, Form};

/// What opens the connection (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Section 4.1: length in three bytes, type, flags, stream in four.
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(super) struct H2 {
    /// Bytes to pass before the next frame header: the preface, or a payload.
    skip: usize,
    header: [u8; FRAME_HEADER],
    header_filled: usize,
    /// In the payload of a HEADERS or CONTINUATION frame.
    in_block: bool,
    /// That frame is the last one of its block.
    ends_block: bool,
    matcher: Matcher,
}

impl H2 {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE.len(),
            header: [0; FRAME_HEADER],
            header_filled: 0,
            in_block: false,
            ends_block: false,
            matcher: Matcher::new(Form::Huffman),
        }
    }

    pub(super) fn take(
        &mut self,
        substitution: &CredentialSubstitution,
        record: &[u8],
        splices: &mut Vec<Splice>,
    ) -> Result<(), Desynchronized> {
        let mut at = 0;
        while at < record.len() {
            let rest = record.get(at..).ok_or(Desynchronized)?;
            if self.skip > 0 {
                let here = rest
                    .get(..self.skip.min(rest.len()))
                    .ok_or(Desynchronized)?;
                if self.in_block {
                    self.matcher.take(substitution, here, at, splices)?;
                }
                self.skip -= here.len();
                at += here.len();
                if self.skip == 0 {
                    self.end_payload()?;
                }
            } else {
                let wanted = self
                    .header
                    .get_mut(self.header_filled..)
                    .ok_or(Desynchronized)?;
                let taken = wanted.len().min(rest.len());
                let wanted = wanted.get_mut(..taken).ok_or(Desynchronized)?;
                wanted.copy_from_slice(rest.get(..taken).ok_or(Desynchronized)?);
                self.header_filled += taken;
                at += taken;
                if self.header_filled == FRAME_HEADER {
                    self.header_filled = 0;
                    self.begin_payload()?;
                }
            }
        }
        Ok(())
    }

    fn begin_payload(&mut self) -> Result<(), Desynchronized> {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.in_block = matches!(kind, HEADERS | CONTINUATION);
        self.ends_block = flags & END_HEADERS != 0;
        if kind == HEADERS {
            self.matcher = Matcher::new(Form::Huffman);
        }
        if self.skip == 0 {
            self.end_payload()?;
        }
        Ok(())
    }

    fn end_payload(&mut self) -> Result<(), Desynchronized> {
        if self.in_block && self.ends_block && !self.matcher.is_done() {
            return Err(Desynchronized);
        }
        self.in_block = false;
        Ok(())
    }
}

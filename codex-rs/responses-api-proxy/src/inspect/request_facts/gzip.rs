//! Bodies compressed by gzip (RFC 1952): one member or several, whose contents are joined.

use std::io::Write as _;
use std::mem::replace;

use codex_policy::Facts;
use flate2::write::GzDecoder;

use super::body::{Body, MAX_PARTS, SMALL};
use super::malformed::Malformed;

/// Decodes into a [`Body`], in pieces of at most 32 KiB; DEFLATE's window has as much.
pub(super) struct Gzip {
    /// Of the member under way.
    decoder: GzDecoder<Body>,
    /// How many members have begun.
    members: u32,
    /// How much has come, in bytes.
    encoded: u64,
}

impl Gzip {
    pub(super) fn new(body: Body) -> Self {
        Self {
            decoder: GzDecoder::new(body),
            members: 1,
            encoded: 0,
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.encoded = self.encoded.saturating_add(piece.len() as u64);
        self.decoder.get_mut().allow_for(self.encoded);
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = self.decoder.write(rest).map_err(|_| self.failed())?;
            if taken == 0 {
                self.next_member()?;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        // Blocks without content: each takes as long as many bytes.
        let decoded = self.decoder.get_ref().bytes();
        if self.encoded > decoded.saturating_mul(2).saturating_add(SMALL) {
            return Err(Malformed::Gzip);
        }
        Ok(())
    }

    /// The member under way is over, and more follows.
    fn next_member(&mut self) -> Result<(), Malformed> {
        let body = self.end_of_member()?;
        self.decoder = GzDecoder::new(body);
        if self.members == MAX_PARTS {
            return Err(Malformed::TooManyParts(MAX_PARTS));
        }
        self.members += 1;
        Ok(())
    }

    /// Refuses a member that does not end, and one whose checksum or length is wrong.
    fn end_of_member(&mut self) -> Result<Body, Malformed> {
        self.decoder.try_finish().map_err(|_| self.failed())?;
        Ok(replace(self.decoder.get_mut(), Body::new(0)))
    }

    pub(super) fn finish(mut self) -> Result<Facts, Malformed> {
        self.end_of_member()?.finish()
    }

    fn failed(&self) -> Malformed {
        self.decoder.get_ref().failed.unwrap_or(Malformed::Gzip)
    }

    #[cfg(test)]
    pub(super) fn body(&self) -> &Body {
        self.decoder.get_ref()
    }
}

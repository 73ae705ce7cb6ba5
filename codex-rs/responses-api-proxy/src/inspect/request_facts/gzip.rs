//! Bodies compressed by gzip (RFC 1952): one member or several, whose contents are joined.

use std::io::Write as _;
use std::mem::replace;

use codex_policy::Facts;
use flate2::write::MultiGzDecoder;

use super::body::{Body, SMALL};
use super::malformed::Malformed;

/// Decodes into a [`Body`], in pieces of at most 32 KiB; DEFLATE's window has as much.
pub(super) struct Gzip {
    decoder: MultiGzDecoder<Body>,
    /// How much has come, in bytes.
    encoded: u64,
}

impl Gzip {
    pub(super) fn new(body: Body) -> Self {
        Self {
            decoder: MultiGzDecoder::new(body),
            encoded: 0,
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.encoded = self.encoded.saturating_add(piece.len() as u64);
        self.decoder.get_mut().allow_for(self.encoded);
        self.decoder.write_all(piece).map_err(|_| self.failed())?;
        // Members without content: each takes as long as many bytes.
        let decoded = self.decoder.get_ref().bytes();
        if self.encoded > decoded.saturating_mul(2).saturating_add(SMALL) {
            return Err(Malformed::Gzip);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Facts, Malformed> {
        // Refuses a member that does not end, and one whose checksum or length is wrong.
        self.decoder.try_finish().map_err(|_| self.failed())?;
        replace(self.decoder.get_mut(), Body::new(0)).finish()
    }

    fn failed(&self) -> Malformed {
        self.decoder.get_ref().failed.unwrap_or(Malformed::Gzip)
    }

    #[cfg(test)]
    pub(super) fn body(&self) -> &Body {
        self.decoder.get_ref()
    }
}

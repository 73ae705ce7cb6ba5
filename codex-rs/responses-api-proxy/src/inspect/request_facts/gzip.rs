//! Bodies compressed by gzip (RFC 1952): one member or several, whose contents are joined.

use std::io::Write as _;
use std::mem::replace;

use codex_policy::Facts;
use flate2::write::MultiGzDecoder;

use super::body::Body;
use super::malformed::Malformed;

/// Decodes into a [`Body`], in pieces of at most 32 KiB; DEFLATE's window has as much.
pub(super) struct Gzip(MultiGzDecoder<Body>);

impl Gzip {
    pub(super) fn new(body: Body) -> Self {
        Self(MultiGzDecoder::new(body))
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.0.write_all(piece).map_err(|_| self.failed())
    }

    pub(super) fn finish(mut self) -> Result<Facts, Malformed> {
        // Refuses a member that does not end, and one whose checksum or length is wrong.
        self.0.try_finish().map_err(|_| self.failed())?;
        replace(self.0.get_mut(), Body::new(0)).finish()
    }

    fn failed(&self) -> Malformed {
        self.0.get_ref().failed.unwrap_or(Malformed::Gzip)
    }

    #[cfg(test)]
    pub(super) fn body(&self) -> &Body {
        self.0.get_ref()
    }
}

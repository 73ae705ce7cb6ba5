//! A decoded body: its size, and the document that it is.

use std::io;

use codex_policy::Facts;

use super::json::Document;
use super::malformed::Malformed;

/// How many times as long a body may be decoded as encoded. Text is ten times as long, and what is much denser is made to
/// keep a thread busy: a kilobyte of gzip can be a megabyte.
const DENSEST: u64 = 100;

/// Up to this, in bytes, it does not matter.
pub(super) const SMALL: u64 = 256 * 1024;

/// How many members of gzip, or frames of zstd, a body may be joined of: each takes as long to begin as many bytes to decode.
/// Encoders write one, and those that work in parallel one for each of some hundred KiB.
pub(super) const MAX_PARTS: u32 = 4_096;

/// Where all decoders write to.
pub(super) struct Body {
    document: Document,
    bytes: u64,
    max: u64,
    /// How much of that is allowed by what has come of the body as it was sent, in bytes.
    allowed: u64,
    /// The largest piece that a decoder handed on, in bytes.
    #[cfg(test)]
    pub(super) largest_piece: usize,
    /// Of a decoder that only knows [`io::Error`].
    pub(super) failed: Option<Malformed>,
}

impl Body {
    pub(super) fn new(max: u64) -> Self {
        Self {
            document: Document::new(),
            bytes: 0,
            max,
            allowed: u64::MAX,
            #[cfg(test)]
            largest_piece: 0,
            failed: None,
        }
    }

    /// Of a body of which so many bytes have come, encoded: from now on it may have [`DENSEST`] times that.
    pub(super) fn allow_for(&mut self, encoded: u64) {
        self.allowed = encoded.saturating_mul(DENSEST).saturating_add(SMALL);
    }

    /// How much was decoded, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        #[cfg(test)]
        {
            self.largest_piece = self.largest_piece.max(piece.len());
        }
        // What is wrong first is told first, wherever a body is cut.
        let most = self.max.min(self.allowed);
        let left = usize::try_from(most.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let (within, beyond) = piece.split_at_checked(left).unwrap_or((piece, &[]));
        self.bytes += within.len() as u64;
        self.document.push(within)?;
        if beyond.is_empty() {
            Ok(())
        } else {
            Err(match self.max <= self.allowed {
                true => Malformed::TooLarge(self.max),
                false => Malformed::TooDense(DENSEST),
            })
        }
    }

    pub(super) fn finish(self) -> Result<Facts, Malformed> {
        let facts = self.document.finish()?;
        Ok(Facts {
            bytes: self.bytes,
            ..facts
        })
    }
}

impl io::Write for Body {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.push(piece).err();
        }
        match self.failed {
            Some(failed) => Err(io::Error::other(failed)),
            None => Ok(piece.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

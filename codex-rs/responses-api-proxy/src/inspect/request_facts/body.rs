//! A decoded body: its size, and the document that it is.

use std::io;

use codex_policy::Facts;

use super::json::Document;
use super::malformed::Malformed;

/// Where all decoders write to.
pub(super) struct Body {
    document: Document,
    bytes: u64,
    max: u64,
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
            #[cfg(test)]
            largest_piece: 0,
            failed: None,
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        #[cfg(test)]
        {
            self.largest_piece = self.largest_piece.max(piece.len());
        }
        // What is wrong first is told first, wherever a body is cut.
        let left = usize::try_from(self.max - self.bytes).unwrap_or(usize::MAX);
        let (within, beyond) = piece.split_at_checked(left).unwrap_or((piece, &[]));
        self.bytes += within.len() as u64;
        self.document.push(within)?;
        if beyond.is_empty() {
            Ok(())
        } else {
            Err(Malformed::TooLarge(self.max))
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

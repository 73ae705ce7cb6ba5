//! What a caller sends, cut into request heads and bodies before hyper sees it. Pure.
//!
//! hyper reads heads leniently where RFC 9112 allows it (a bare LF ends a line,
//! bytes above 127 are let into values, a `Content-Length` beside a transfer coding
//! is dropped). Each leniency is a chance that two parties read one message in
//! two ways. Here a head is passed on only when it can be read in one way, and
//! otherwise is answered by us, in JSON, at the first byte that decides it.
//!
//! Bodies pass through untouched and uncopied; they are only followed, to know where
//! they end. What comes behind a request is buffered until that request is answered, if it
//! is no more than [`MAX_BUFFERED`]. If there is more, all of it is discarded and no
//! further head is looked for: the connection ends with the request that is being
//! answered. So it does after a chunked body (`downstream/connection.rs` sees to it).
//!
//! The name of an `Upgrade` field is overwritten on its way ([`MASKED_UPGRADE`]):
//! a connection that hyper thinks may be upgraded is let go by it without the
//! flush and the shutdown that the end of every other connection gets.

mod strict;

use bytes::{Buf, BytesMut};

use crate::access::policy::MASKED_UPGRADE;
use crate::config::limits::MAX_HEAD;
use crate::downstream::chunked::Chunked;
use crate::downstream::head_error::HeadError;

use self::strict::{Framing, read_head};

/// The most that is buffered behind a request that is being answered, in bytes: enough for
/// clients that pipeline small requests, and little where many send whatever is
/// buffered.
pub(crate) const MAX_BUFFERED: usize = 16 * 1024;

/// Where in the caller's bytes we are.
#[derive(Debug)]
enum Phase {
    Head(Scan),
    /// A body of known length, so much of it still to come.
    Body(u64),
    Chunked(Chunked),
    /// The last request of this connection is there; nothing behind it is looked at.
    Last,
}

/// The caller's side of one connection. Without `Debug`: credentials and prompts are in it.
pub(crate) struct Inbound {
    /// Arrived, not yet passed on.
    buffered: BytesMut,
    /// How many bytes at the front of `buffered` may be passed on.
    cleared: usize,
    heads: u64,
    phase: Phase,
    /// How many bytes behind the last request were not buffered.
    discarded: usize,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        Self {
            buffered: BytesMut::new(),
            cleared: 0,
            heads: 0,
            phase: Phase::Head(Scan::default()),
            discarded: 0,
        }
    }

    /// Takes what has just arrived. Returns how many of its first bytes may be
    /// passed on as they lie; the rest is buffered here until it may. A head is
    /// passed on only if one `may_begin`.
    ///
    /// # Errors
    ///
    /// The head that begins here can never be accepted.
    pub(crate) fn arrive(&mut self, fresh: &mut [u8], may_begin: bool) -> Result<usize, HeadError> {
        if self.buffered.is_empty() {
            let passed = self.clear(fresh, may_begin)?;
            let rest = fresh.get(passed..).ok_or(HeadError::Lost)?;
            self.buffered.extend_from_slice(rest);
            self.bound(passed > 0 || !may_begin);
            return Ok(passed);
        }
        self.buffered.extend_from_slice(fresh);
        self.clear_buffered(may_begin)?;
        Ok(0)
    }

    /// Takes what has just arrived and buffers all of it, for [`pass_on`](Self::pass_on).
    ///
    /// # Errors
    ///
    /// The head that begins here can never be accepted.
    pub(crate) fn buffer(&mut self, fresh: &[u8]) -> Result<(), HeadError> {
        self.buffered.extend_from_slice(fresh);
        self.clear_buffered(true)
    }

    /// Discards what may not be passed on if it `is_behind` a request and too much.
    fn bound(&mut self, is_behind: bool) {
        let behind = self.unfinished();
        match self.phase {
            Phase::Head(_) if is_behind && behind > MAX_BUFFERED => self.phase = Phase::Last,
            Phase::Last if behind > 0 => {}
            _ => return,
        }
        self.discarded = self.discarded.saturating_add(behind);
        if self.cleared == 0 {
            self.buffered = BytesMut::new();
        } else {
            self.buffered.truncate(self.cleared);
        }
    }

    /// Whether something that is buffered may be passed on.
    pub(crate) fn is_ready(&self) -> bool {
        self.cleared > 0
    }

    /// How many bytes are buffered that may not be passed on.
    pub(crate) fn unfinished(&self) -> usize {
        self.buffered.len() - self.cleared
    }

    /// Hands what may be passed on to `sink`, which returns how much of it was taken; true if
    /// there was any.
    ///
    /// # Errors
    ///
    /// A further head, buffered until now, can never be accepted.
    pub(crate) fn pass_on(
        &mut self,
        sink: impl FnOnce(&[u8]) -> usize,
        may_begin: bool,
    ) -> Result<bool, HeadError> {
        self.clear_buffered(may_begin)?;
        if self.cleared == 0 {
            return Ok(false);
        }
        let moved = sink(self.buffered.get(..self.cleared).ok_or(HeadError::Lost)?);
        self.buffered.advance(moved);
        self.cleared -= moved;
        if self.buffered.is_empty() {
            // An idle connection has no buffer.
            self.buffered = BytesMut::new();
        }
        Ok(true)
    }

    /// How many heads were cleared so far.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether something is buffered that may be passed on now or later.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffered.is_empty()
    }

    /// Whether no further request will be found on this connection.
    pub(crate) fn is_over(&self) -> bool {
        self.cleared == 0 && matches!(self.phase, Phase::Last)
    }

    /// Whether it is within a body whose length was not declared.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self.phase, Phase::Chunked(_))
    }

    /// Whether what comes next cannot be the body that it should be.
    pub(crate) fn is_broken(&self) -> bool {
        self.cleared == 0 && matches!(&self.phase, Phase::Chunked(chunked) if chunked.is_broken())
    }

    /// How many bytes behind the last request were not buffered.
    pub(crate) fn discarded(&self) -> usize {
        self.discarded
    }

    /// Whether the caller may be in the middle of sending something.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.buffered.is_empty()
            || match &self.phase {
                Phase::Head(scan) => scan.looked_at > 0,
                Phase::Body(left) => *left > 0,
                Phase::Chunked(_) | Phase::Last => true,
            }
    }

    fn clear_buffered(&mut self, may_begin: bool) -> Result<(), HeadError> {
        if self.cleared == 0 && !self.buffered.is_empty() {
            let mut buffered = std::mem::take(&mut self.buffered);
            let cleared = self.clear(&mut buffered, may_begin);
            self.buffered = buffered;
            self.cleared = cleared?;
        }
        self.bound(self.cleared > 0 || !may_begin);
        Ok(())
    }

    /// How much of `bytes`, which begin where the last cleared byte ended, may pass.
    /// At most one head is cleared at a time.
    fn clear(&mut self, bytes: &mut [u8], may_begin: bool) -> Result<usize, HeadError> {
        let head = match &mut self.phase {
            Phase::Head(_) if !may_begin => return Ok(0),
            Phase::Head(scan) => match scan.find_end(bytes)? {
                None => return Ok(0),
                Some(end) => {
                    let bytes = bytes.get_mut(..end).ok_or(HeadError::Lost)?;
                    let head = read_head(bytes)?;
                    for at in head.upgrades {
                        mask(bytes, at);
                    }
                    self.heads += 1;
                    self.phase = match head.framing {
                        Framing::Length(length) => Phase::Body(length),
                        Framing::Chunked => Phase::Chunked(Chunked::default()),
                    };
                    end
                }
            },
            Phase::Body(_) | Phase::Chunked(_) | Phase::Last => 0,
        };
        let body = match &mut self.phase {
            Phase::Body(left) => {
                let here = bytes.len().saturating_sub(head);
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                let passed = u64::try_from(taken).map_err(|_| HeadError::Lost)?;
                *left = left.checked_sub(passed).ok_or(HeadError::Lost)?;
                if *left == 0 {
                    self.phase = Phase::Head(Scan::default());
                }
                taken
            }
            Phase::Chunked(chunked) => {
                let taken = chunked.follow(bytes.get(head..).ok_or(HeadError::Lost)?);
                if chunked.is_over() {
                    self.phase = Phase::Last;
                }
                taken
            }
            Phase::Head(_) | Phase::Last => 0,
        };
        Ok(head + body)
    }
}

fn mask(head: &mut [u8], at: usize) {
    let name = head.get_mut(at..).unwrap_or_default().iter_mut();
    for (byte, masked) in name.zip(MASKED_UPGRADE.bytes()) {
        *byte = masked;
    }
}

/// Looks for the end of a head byte by byte, each byte once, however it is cut
/// into pieces on its way here.
#[derive(Debug, Default)]
struct Scan {
    looked_at: usize,
    after_cr: bool,
    /// Bytes of the current line, its ending apart.
    in_line: usize,
    /// A line that is not empty was seen; empty ones before it are allowed
    /// (RFC 9112, section 2.2).
    begun: bool,
}

impl Scan {
    /// The length of the head, once its last line is there.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        for (at, &byte) in bytes.iter().enumerate().skip(self.looked_at) {
            if at >= MAX_HEAD {
                return Err(HeadError::TooLong);
            }
            self.looked_at = at + 1;
            if self.after_cr != (byte == b'\n') {
                return Err(HeadError::LineEnding);
            }
            self.after_cr = byte == b'\r';
            match byte {
                b'\n' if self.in_line == 0 && self.begun => return Ok(Some(at + 1)),
                b'\n' => {
                    self.begun |= self.in_line > 0;
                    self.in_line = 0;
                }
                b'\r' => {}
                0x16 if at == 0 => return Err(HeadError::Tls),
                b'\t' | b' '..=b'~' => self.in_line += 1,
                0x80.. => return Err(HeadError::NotAscii),
                _ => return Err(HeadError::ControlCharacter),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;

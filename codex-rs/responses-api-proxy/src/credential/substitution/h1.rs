//! Follows the requests of an HTTP/1.1 client (RFC 9112) through TLS records. Pure.
//!
//! The client is ours, so its framing is known to be well formed: names in lower
//! case, one length, CR LF. Anything else means that track is lost.

use super::matcher::{Desynchronized, Matcher, Splice};
use super::{CredentialSubstitution, Form};

/// How much of a header line is kept to tell what it is.
const LINE_KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct H1 {
    place: Place,
    line: Vec<u8>,
    matcher: Matcher,
    /// From the head: how its body is framed.
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Length(u64),
    Chunked,
}

/// Where in the stream we are.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    /// So many bytes of a body, or of a chunk and its CR LF.
    Data {
        left: u64,
        chunked: bool,
    },
    ChunkSize,
    /// The lines after the last chunk.
    Trailers,
}

impl H1 {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Head,
            line: Vec::new(),
            matcher: Matcher::new(Form::Plain),
            body: Body::Length(0),
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
            at += match self.place {
                Place::Data { left, chunked } => self.pass_data(left, chunked, rest.len())?,
                Place::Head => {
                    let line = up_to_newline(rest)?;
                    self.matcher.take(substitution, line, at, splices)?;
                    if self.keep(line)? {
                        self.end_head_line()?;
                    }
                    line.len()
                }
                Place::ChunkSize | Place::Trailers => {
                    let line = up_to_newline(rest)?;
                    if self.keep(line)? {
                        self.end_chunk_line()?;
                    }
                    line.len()
                }
            };
        }
        Ok(())
    }

    fn pass_data(
        &mut self,
        left: u64,
        chunked: bool,
        available: usize,
    ) -> Result<usize, Desynchronized> {
        // More than there can be is more than there is.
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        let passed = u64::try_from(taken).map_err(|_| Desynchronized)?;
        let left = left.checked_sub(passed).ok_or(Desynchronized)?;
        self.place = match (left, chunked) {
            (0, true) => Place::ChunkSize,
            (0, false) => self.next_head(),
            _ => Place::Data { left, chunked },
        };
        Ok(taken)
    }

    /// Adds to the current line; true when it is whole.
    fn keep(&mut self, piece: &[u8]) -> Result<bool, Desynchronized> {
        let room = LINE_KEPT.saturating_sub(self.line.len());
        let kept = piece.get(..room.min(piece.len())).ok_or(Desynchronized)?;
        self.line.extend_from_slice(kept);
        Ok(piece.ends_with(b"\n"))
    }

    fn end_head_line(&mut self) -> Result<(), Desynchronized> {
        let line = self.line.trim_ascii_end();
        if let Some(length) = line.strip_prefix(b"content-length: ") {
            self.body = Body::Length(number(length, 10).ok_or(Desynchronized)?);
        } else if line.starts_with(b"transfer-encoding: ") {
            self.body = Body::Chunked;
        } else if line.is_empty() {
            if !self.matcher.is_done() {
                return Err(Desynchronized);
            }
            self.place = match self.body {
                Body::Length(0) => self.next_head(),
                Body::Length(left) => Place::Data {
                    left,
                    chunked: false,
                },
                Body::Chunked => Place::ChunkSize,
            };
        }
        self.line.clear();
        Ok(())
    }

    fn end_chunk_line(&mut self) -> Result<(), Desynchronized> {
        let line = self.line.trim_ascii_end();
        self.place = match self.place {
            Place::ChunkSize => match number(line, 16).ok_or(Desynchronized)? {
                0 => Place::Trailers,
                size => Place::Data {
                    left: size.checked_add(2).ok_or(Desynchronized)?,
                    chunked: true,
                },
            },
            _ if line.is_empty() => self.next_head(),
            place => place,
        };
        self.line.clear();
        Ok(())
    }

    fn next_head(&mut self) -> Place {
        self.matcher = Matcher::new(Form::Plain);
        self.body = Body::Length(0);
        self.line.clear();
        Place::Head
    }
}

/// The bytes up to and including the first newline, or all of them.
fn up_to_newline(bytes: &[u8]) -> Result<&[u8], Desynchronized> {
    let end = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(bytes.len(), |at| at + 1);
    bytes.get(..end).ok_or(Desynchronized)
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    u64::from_str_radix(text, radix).ok()
}

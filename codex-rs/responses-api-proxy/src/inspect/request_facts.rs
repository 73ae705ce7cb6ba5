//! The facts of a request: what its body says of itself that a policy is about. Pure.
//!
//! The body is read strictly, because what is allowed has to be what the upstream will read: a body that is not exactly
//! one JSON object, or that says something twice that matters, is refused. A compressed body is decoded for that, and the
//! upstream is sent what came. Several frames of a coding, one after the other, are one body: an upstream that stops after
//! the first one has the same object, or none, because nothing but white space can follow an object.

mod coding;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "what compares reports by panicking")]
pub(crate) mod judge;
mod members;
mod scanner;
mod string;
mod zstd;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};

use codex_policy::Facts;
use flate2::write::MultiGzDecoder;

pub(crate) use self::coding::{RequestEncoding, UnsupportedEncoding};
use self::scanner::Scanner;
use self::zstd::ZstdFrames;

/// The most objects and arrays inside each other.
const MAX_DEPTH: usize = 128;

/// Why a body is not looked into, or cannot be read in exactly one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    NotJson,
    NotAnObject,
    ByteOrderMark,
    TooDeep,
    /// The member of this name is there twice.
    Twice(&'static str),
    /// The member of this name is not what follows.
    Not(&'static str, &'static str),
    TooManyTools,
    /// It is not what its `Content-Encoding` says, or it ends too early.
    NotDecodable(&'static str),
    /// What it decodes to is larger than this, in bytes.
    TooLarge(u64),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the request body is not valid JSON (RFC 8259)"),
            Self::NotAnObject => f.write_str("the request body is not a JSON object"),
            Self::ByteOrderMark => f.write_str(
                "the request body begins with a byte order mark; send the JSON without it",
            ),
            Self::TooDeep => write!(
                f,
                "the request body has more than {MAX_DEPTH} objects and arrays inside each other"
            ),
            Self::Twice(member) => write!(f, "the request body says {member} twice"),
            Self::Not(member, what) => write!(f, "{member} in the request body is not {what}"),
            Self::TooManyTools => f.write_str("the request body has too many types of tools"),
            Self::NotDecodable(coding) => {
                write!(f, "the request body cannot be decoded as {coding}")
            }
            Self::TooLarge(most) => write!(f, "the request body decodes to more than {most} bytes"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Looks at one body while it passes. Needs some hundred bytes; for zstd up to 9 MiB, for gzip some 50 KiB.
pub(crate) struct RequestInspector {
    decoder: Decoder,
    failure: Option<Malformed>,
}

enum Decoder {
    Identity(Sink),
    Gzip(Box<MultiGzDecoder<Sink>>),
    Zstd(Box<ZstdFrames>, Sink),
}

/// What is decoded.
struct Sink {
    scanner: Box<Scanner>,
    bytes: u64,
    most: u64,
    failure: Option<Malformed>,
}

impl RequestInspector {
    /// Of a body in this coding, which may decode to so many bytes.
    pub(crate) fn new(encoding: RequestEncoding, max_decoded: u64) -> Self {
        let sink = Sink {
            scanner: Box::default(),
            bytes: 0,
            most: max_decoded,
            failure: None,
        };
        Self {
            decoder: match encoding {
                RequestEncoding::Identity => Decoder::Identity(sink),
                RequestEncoding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(sink))),
                RequestEncoding::Zstd => Decoder::Zstd(Box::default(), sink),
            },
            failure: None,
        }
    }

    /// Looks at the next piece.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; then always the same.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let pushed = match &mut self.decoder {
            Decoder::Identity(sink) => sink.take(piece),
            Decoder::Gzip(decoder) => match decoder.write_all(piece) {
                Ok(()) => Ok(()),
                Err(_) => Err(decoder.get_ref().failure.unwrap_or(NOT_GZIP)),
            },
            Decoder::Zstd(frames, sink) => frames.push(piece, |decoded| sink.take(decoded)),
        };
        self.failure = pushed.err();
        pushed
    }

    /// The body ends here.
    ///
    /// # Errors
    ///
    /// [`Malformed`], also of a body that ends too early.
    pub(crate) fn finish(self) -> Result<Facts, Malformed> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let sink = match self.decoder {
            Decoder::Identity(sink) => sink,
            Decoder::Gzip(mut decoder) => {
                // What is left in the decoder is decoded by this.
                if decoder.try_finish().is_err() {
                    return Err(decoder.get_ref().failure.unwrap_or(NOT_GZIP));
                }
                match decoder.finish() {
                    Ok(sink) => sink,
                    Err(_) => return Err(NOT_GZIP),
                }
            }
            Decoder::Zstd(frames, sink) => {
                frames.finish()?;
                sink
            }
        };
        let bytes = sink.bytes;
        Ok(Facts {
            bytes,
            ..sink.scanner.finish()?
        })
    }
}

const NOT_GZIP: Malformed = Malformed::NotDecodable("gzip");

impl Sink {
    fn take(&mut self, decoded: &[u8]) -> Result<(), Malformed> {
        let taken = self.try_take(decoded);
        self.failure = taken.err();
        taken
    }

    fn try_take(&mut self, decoded: &[u8]) -> Result<(), Malformed> {
        let bytes = u64::try_from(decoded.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.most {
            return Err(Malformed::TooLarge(self.most));
        }
        self.scanner.push(decoded)
    }
}

/// For a decoder that writes; why it fails is in the sink.
impl Write for Sink {
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        match self.take(decoded) {
            Ok(()) => Ok(decoded.len()),
            Err(malformed) => Err(io::Error::other(malformed)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

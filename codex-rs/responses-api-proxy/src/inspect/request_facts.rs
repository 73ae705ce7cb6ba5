//! What a request asks for, as far as rules are about it: read strictly, because a decision depends on it. Pure.
//!
//! A body that two parsers could read differently is refused: one that is not JSON by RFC 8259, and one that gives a
//! member that matters twice. Bodies arrive in pieces, cut anywhere; what is kept of them is bounded.

mod body;
mod gzip;
mod json;
mod malformed;
mod members;
#[cfg(test)]
mod tests;
mod zstd;

use codex_policy::Facts;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use self::body::Body;
use self::gzip::Gzip;
pub(crate) use self::malformed::Malformed;
use self::zstd::Zstd;

/// How a body was encoded before it was sent: `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEncoding {
    Identity,
    Gzip,
    Zstd,
}

/// A `Content-Encoding` that is not decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnsupportedEncoding;

/// Reads the body of a request, and finds the members that rules are about.
pub(crate) struct RequestInspector {
    decoder: Decoder,
    /// Nothing was pushed but empty pieces.
    is_empty: bool,
    failed: Option<Malformed>,
}

enum Decoder {
    Identity(Box<Body>),
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

impl RequestEncoding {
    /// One coding at most: a list of them is refused, although RFC 9110 allows it.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, UnsupportedEncoding> {
        let mut fields = headers.get_all(CONTENT_ENCODING).iter();
        let Some(field) = fields.next() else {
            return Ok(Self::Identity);
        };
        if fields.next().is_some() {
            return Err(UnsupportedEncoding);
        }
        let coding = field.as_bytes().trim_ascii().to_ascii_lowercase();
        match &*coding {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            _ => Err(UnsupportedEncoding),
        }
    }
}

impl RequestInspector {
    /// `max_decoded`: of the body once decoded, in bytes.
    pub(crate) fn new(encoding: RequestEncoding, max_decoded: u64) -> Self {
        let body = Body::new(max_decoded);
        Self {
            decoder: match encoding {
                RequestEncoding::Identity => Decoder::Identity(Box::new(body)),
                RequestEncoding::Gzip => Decoder::Gzip(Box::new(Gzip::new(body))),
                RequestEncoding::Zstd => Decoder::Zstd(Box::new(Zstd::new(body))),
            },
            is_empty: true,
            failed: None,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// What is wrong with the body; the same again after that, whatever is pushed.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.is_empty &= piece.is_empty();
        let pushed = match &mut self.decoder {
            Decoder::Identity(body) => body.push(piece),
            Decoder::Gzip(gzip) => gzip.push(piece),
            Decoder::Zstd(zstd) => zstd.push(piece),
        };
        self.failed = pushed.err();
        pushed
    }

    /// The facts, once the whole body was pushed.
    ///
    /// # Errors
    ///
    /// What is wrong with the body, also that it ends too early.
    pub(crate) fn finish(self) -> Result<Facts, Malformed> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.is_empty {
            return Err(Malformed::Empty);
        }
        match self.decoder {
            Decoder::Identity(body) => body.finish(),
            Decoder::Gzip(gzip) => gzip.finish(),
            Decoder::Zstd(zstd) => zstd.finish(),
        }
    }
}

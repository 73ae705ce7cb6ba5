//! What the mock upstream keeps of each request.

use http::Version;
use serde_json::Value;

use crate::Headers;

/// One request as it arrived, updated while it arrives: a copy shows the moment it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Counts from zero over all connections, in the order the heads arrived.
    pub index: usize,
    /// The connection it came on; counts from zero.
    pub connection: usize,
    /// HTTP/1: the exact bytes up to and with the empty line. HTTP/2: empty.
    pub raw_head: Vec<u8>,
    /// The method as written.
    pub method: String,
    /// The request target; for HTTP/2 the `:path`.
    pub target: String,
    /// The protocol version.
    pub version: Version,
    /// HTTP/2 only: the `:authority`.
    pub authority: Option<String>,
    /// The header fields.
    pub headers: Headers,
    /// The body without its framing; empty when the mock was told to discard bodies.
    pub body: Vec<u8>,
    /// Body bytes that arrived.
    pub body_len: u64,
    /// [`body_hash`] of the body bytes that arrived.
    pub body_hash: u64,
    /// Whether the body ended as its framing says it must.
    pub complete: bool,
    /// The trailer fields.
    pub trailers: Headers,
    /// Why this is not a well-formed request, if it is not.
    pub malformed: Option<String>,
    /// Whether the scripted answer was written, up to its scripted cut if it has one.
    pub answered: bool,
    /// Whether the peer reset the stream or closed the connection before the request was
    /// complete and answered.
    pub cancelled: bool,
}

impl RecordedRequest {
    /// A request of which nothing is known yet.
    pub(crate) fn empty() -> Self {
        Self {
            index: 0,
            connection: 0,
            raw_head: Vec::new(),
            method: String::new(),
            target: String::new(),
            version: Version::HTTP_11,
            authority: None,
            headers: Vec::new(),
            body: Vec::new(),
            body_len: 0,
            body_hash: FNV_START,
            complete: false,
            trailers: Vec::new(),
            malformed: None,
            answered: false,
            cancelled: false,
        }
    }

    /// The only value of a header, or `None` without it.
    ///
    /// # Panics
    /// When there are two, or the value is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.header_all(name);
        assert!(
            values.len() < 2,
            "the upstream got {} {name} headers",
            values.len()
        );
        values
            .first()
            .map(|value| std::str::from_utf8(value).expect("a header in UTF-8"))
    }

    /// Every value of a header, in order.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<&[u8]> {
        crate::answer::values(&self.headers, name)
    }

    /// Whom the request was for: `:authority`, else `Host`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.authority.as_deref().or_else(|| self.header("host"))
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    #[track_caller]
    pub fn body_json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the upstream's body is not JSON ({error}): {}", self.text()),
        }
    }

    /// Adds a piece of body.
    pub(crate) fn push_body(&mut self, bytes: &[u8], keep: bool) {
        self.body_len += bytes.len() as u64;
        self.body_hash = fnv(self.body_hash, bytes);
        if keep {
            self.body.extend_from_slice(bytes);
        }
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// A cheap hash (FNV-1a) to compare bodies that nobody wants to keep.
#[must_use]
pub fn body_hash(bytes: &[u8]) -> u64 {
    fnv(FNV_START, bytes)
}

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

//! Every way a request head can be unacceptable.

use std::fmt;

use crate::config::limits::{MAX_HEAD, MAX_HEADERS};
use crate::config::paths::RESPONSES;
use crate::refusal::{Reason, Refusal};

/// Why a head cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// A TLS handshake on a plain port.
    Tls,
    /// A line that ends in LF alone, or a CR that ends no line.
    LineEnding,
    /// A control character, NUL among them.
    ControlCharacter,
    /// A byte above 127.
    NotAscii,
    /// A `CONNECT`: this is not that kind of proxy.
    Connect,
    /// A request target that is no URL, or has a fragment (RFC 9112, section 3.2).
    Target,
    /// Not a request line and header lines of HTTP/1.0 or HTTP/1.1.
    Syntax(httparse::Error),
    /// No `Host`, or more than one.
    Host,
    /// A `Content-Length` that is not one decimal number, or stands there twice.
    ContentLength,
    /// A `Transfer-Encoding` other than `chunked`, twice, or in HTTP/1.0.
    TransferEncoding,
    /// Both a `Content-Length` and a `Transfer-Encoding`.
    TwoLengths,
    /// Not there in time.
    TooSlow,
    /// More heads at once than there is memory for.
    Crowded,
    /// More than [`MAX_HEAD`] bytes.
    TooLong,
    /// More than [`MAX_HEADERS`] header lines.
    TooManyHeaders,
    /// We do not know where it ends; cannot happen.
    Lost,
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        let reason = match error {
            HeadError::TooLong | HeadError::TooManyHeaders => Reason::HeadTooLarge,
            HeadError::Connect => Reason::Connect,
            HeadError::TooSlow => Reason::HeadTimeout,
            HeadError::Crowded => Reason::Overloaded,
            _ => Reason::Head,
        };
        Self::because(reason, error.to_string())
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => {
                f.write_str("this port speaks plain HTTP; use http:// instead of https://")
            }
            Self::LineEnding => {
                f.write_str("a line of the request head does not end in CR LF (RFC 9112)")
            }
            Self::ControlCharacter => {
                f.write_str("the request head holds a control character (RFC 9112)")
            }
            Self::NotAscii => f.write_str("the request head holds a byte that is not ASCII"),
            Self::Connect => write!(
                f,
                "CONNECT is not served here; this proxy forwards only POST {RESPONSES}"
            ),
            Self::Target => f.write_str("the request target is not a path (RFC 9112)"),
            Self::Syntax(cause) => {
                write!(f, "the request head is not HTTP/1.1 or HTTP/1.0: {cause}")
            }
            Self::Host => f.write_str("the request must have exactly one Host header"),
            Self::ContentLength => {
                f.write_str("Content-Length must stand there once, as one decimal number")
            }
            Self::TransferEncoding => {
                f.write_str("the only Transfer-Encoding accepted is chunked, once, in HTTP/1.1")
            }
            Self::TwoLengths => {
                f.write_str("Content-Length and Transfer-Encoding exclude each other (RFC 9112)")
            }
            Self::TooSlow => f.write_str("the request head took too long (--header-timeout)"),
            Self::Crowded => f.write_str("too many request heads are being received; try again"),
            Self::TooLong => write!(f, "the request head is longer than {MAX_HEAD} bytes"),
            Self::TooManyHeaders => write!(f, "the request has more than {MAX_HEADERS} headers"),
            Self::Lost => {
                f.write_str("the proxy lost track of where the request ends; send it anew")
            }
        }
    }
}

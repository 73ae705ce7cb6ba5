//! One complete head, read in the one way in which it can be read.

use http::Uri;

use crate::config::limits::MAX_HEADERS;
use crate::config::paths::RESPONSES;
use crate::downstream::head_error::HeadError;

/// What one head says of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) framing: Framing,
    /// Where in the head the names of `Upgrade` fields begin.
    pub(super) upgrades: Vec<usize>,
}

/// How a request's body is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// Reads one complete head strictly.
pub(super) fn read_head(head: &[u8]) -> Result<Head, HeadError> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HeadError::Syntax(httparse::Error::Token)),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
        Err(cause) => return Err(HeadError::Syntax(cause)),
    }
    if request.method == Some("CONNECT") {
        return Err(HeadError::Connect);
    }
    let target = request.path.unwrap_or_default();
    if target != RESPONSES && (target.contains('#') || target.parse::<Uri>().is_err()) {
        return Err(HeadError::Target);
    }
    let upgrades = request
        .headers
        .iter()
        .filter(|line| line.name.eq_ignore_ascii_case("upgrade"))
        .map(|line| line.name.as_ptr().addr() - head.as_ptr().addr())
        .collect();
    Ok(Head {
        framing: framing(&request)?,
        upgrades,
    })
}

fn framing(request: &httparse::Request<'_, '_>) -> Result<Framing, HeadError> {
    let is_http_11 = request.version == Some(1);
    let values = |wanted: &'static str| {
        request
            .headers
            .iter()
            .filter(move |line| line.name.eq_ignore_ascii_case(wanted))
            .map(|line| line.value)
    };
    // RFC 9112 asks this of HTTP/1.1; an HTTP/1.0 client of today sends it too.
    if values("host").count() != 1 {
        return Err(HeadError::Host);
    }
    let mut lengths = values("content-length");
    let mut codings = values("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => Err(HeadError::TwoLengths),
        (None, Some(coding)) => {
            let alone = codings.next().is_none();
            if is_http_11 && alone && coding.eq_ignore_ascii_case(b"chunked") {
                Ok(Framing::Chunked)
            } else {
                Err(HeadError::TransferEncoding)
            }
        }
        (Some(length), None) => {
            let length = decimal(length).ok_or(HeadError::ContentLength)?;
            if lengths.next().is_some() {
                return Err(HeadError::ContentLength);
            }
            Ok(Framing::Length(length))
        }
        (None, None) => Ok(Framing::Length(0)),
    }
}

/// `1*DIGIT` (RFC 9110, section 8.6), no sign, no list, no overflow of what a
/// file can hold.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(length).ok()
}

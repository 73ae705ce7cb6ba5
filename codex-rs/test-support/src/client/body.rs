//! Where the body of an answer ends.

use crate::Headers;
use crate::answer::{End, values};

/// Where the body of the current answer stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    ToClose,
    Ended(End),
}

/// RFC 9112 section 6.3, for answers; what must not be there panics.
#[track_caller]
pub(super) fn framing(status: u16, to_head: bool, headers: &Headers) -> Body {
    let codings = values(headers, "transfer-encoding");
    let lengths = values(headers, "content-length");
    assert!(
        codings.len() + lengths.len() < 2,
        "an answer with {} Transfer-Encoding and {} Content-Length headers",
        codings.len(),
        lengths.len()
    );
    if to_head || matches!(status, 101 | 204 | 304) {
        return Body::Ended(End::Clean);
    }
    if let Some(coding) = codings.first() {
        assert!(
            coding.eq_ignore_ascii_case(b"chunked"),
            "Transfer-Encoding {coding:?}"
        );
        return Body::ChunkSize;
    }
    match lengths.first() {
        Some(length) => {
            let text = String::from_utf8_lossy(length);
            Body::Length(
                text.parse()
                    .unwrap_or_else(|_| panic!("Content-Length {text:?}")),
            )
        }
        None => Body::ToClose,
    }
}

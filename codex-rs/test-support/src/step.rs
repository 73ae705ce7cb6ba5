//! The steps a scripted answer is made of, and the ways it can end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::gate::Gate;

/// How the mock ends a connection or stream before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutKind {
    /// Closes in order, only too early: close_notify under TLS, then FIN.
    Fin,
    /// RST: the peer's next read or write fails.
    Reset,
    /// FIN without close_notify. Without TLS the same as [`CutKind::Fin`].
    TlsTruncate,
    /// HTTP/2 only: RST_STREAM with this error code.
    RstStream(u32),
    /// HTTP/2 only: GOAWAY with this error code, then the connection closes.
    GoAway(u32),
}

/// How an HTTP/1 answer says where its body ends. HTTP/2 keeps only the Content-Length header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A Content-Length of all data in the script.
    ContentLength,
    /// Transfer-Encoding: chunked; each piece of data is a chunk.
    Chunked,
    /// The body ends where the connection does.
    CloseDelimited,
}

/// One step of a scripted answer.
#[derive(Clone)]
pub enum Step {
    /// Writes and flushes body bytes.
    Data(Bytes),
    /// Like `Data`, made at the moment it is written. Not counted in a Content-Length.
    Fresh(Arc<dyn Fn() -> Bytes + Send + Sync>),
    /// Lets time pass.
    Pace(Duration),
    /// Waits until the test opens the gate.
    Hold(Gate),
    /// Ends here, unfinished.
    Cut(CutKind),
    /// An interim answer; only before the head.
    Interim(u16, Vec<(String, String)>),
    /// Trailer fields; the last step of a chunked or HTTP/2 answer.
    Trailers(Vec<(String, String)>),
    /// HTTP/2 only: GOAWAY without an error; streams under way go on.
    GoAway,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(bytes) => write!(f, "Data({} bytes)", bytes.len()),
            Self::Fresh(_) => f.write_str("Fresh"),
            Self::Pace(time) => write!(f, "Pace({time:?})"),
            Self::Hold(_) => f.write_str("Hold"),
            Self::Cut(kind) => write!(f, "Cut({kind:?})"),
            Self::Interim(status, _) => write!(f, "Interim({status})"),
            Self::Trailers(fields) => write!(f, "Trailers({fields:?})"),
            Self::GoAway => f.write_str("GoAway"),
        }
    }
}

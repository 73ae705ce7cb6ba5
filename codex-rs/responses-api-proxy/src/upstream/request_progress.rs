//! How far the upload of a request has come, and why it was given up, for whoever waits for the answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::access::inspection::NotAllowed;

/// Why an upload was given up. hyper aborts the upstream request on it, so
/// that what was sent so far never becomes a complete request.
#[derive(Debug)]
pub(crate) enum RequestBodyError {
    TooLarge,
    CutShort,
    Stalled,
    Untaken,
    /// The policy does not allow the request; its reservation has the refusal.
    Refused,
}

impl From<NotAllowed> for RequestBodyError {
    fn from(NotAllowed: NotAllowed) -> Self {
        Self::Refused
    }
}

impl fmt::Display for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is too large",
            Self::CutShort => "the request body was cut short",
            Self::Stalled => "the request body stopped coming",
            Self::Untaken => "the upstream takes nothing of the request body",
            Self::Refused => "the request is not allowed",
        })
    }
}

impl std::error::Error for RequestBodyError {}

/// What the rest of the proxy may know of an upload in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    frames: AtomicU64,
    too_large: AtomicBool,
    cut_short: AtomicBool,
    stalled: AtomicBool,
    untaken: AtomicBool,
    refused: AtomicBool,
}

impl Progress {
    /// Another piece has gone.
    pub(super) fn note_piece(&self) {
        self.0.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// It is given up.
    pub(super) fn note_failure(&self, error: &RequestBodyError) {
        let flag = match error {
            RequestBodyError::TooLarge => &self.0.too_large,
            RequestBodyError::CutShort => &self.0.cut_short,
            RequestBodyError::Stalled => &self.0.stalled,
            RequestBodyError::Untaken => &self.0.untaken,
            RequestBodyError::Refused => &self.0.refused,
        };
        flag.store(true, Ordering::Relaxed);
    }

    /// A number that changes whenever body bytes move.
    pub(crate) fn made(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }

    /// Why the upload was given up, if it was.
    pub(crate) fn failure(&self) -> Option<RequestBodyError> {
        if self.0.too_large.load(Ordering::Relaxed) {
            Some(RequestBodyError::TooLarge)
        } else if self.0.cut_short.load(Ordering::Relaxed) {
            Some(RequestBodyError::CutShort)
        } else if self.0.stalled.load(Ordering::Relaxed) {
            Some(RequestBodyError::Stalled)
        } else if self.0.untaken.load(Ordering::Relaxed) {
            Some(RequestBodyError::Untaken)
        } else if self.0.refused.load(Ordering::Relaxed) {
            Some(RequestBodyError::Refused)
        } else {
            None
        }
    }
}

//! The caller's request body on its way up: counted, capped, never completed by us.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sync_wrapper::SyncWrapper;

/// Why an upload was given up. reqwest aborts the upstream request on it, so
/// that what was sent so far never becomes a complete request.
#[derive(Debug)]
pub(crate) enum UploadError {
    TooLarge,
    CutShort,
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is too large",
            Self::CutShort => "the request body was cut short",
        })
    }
}

impl std::error::Error for UploadError {}

/// What the rest of the proxy may know of an upload in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    frames: AtomicU64,
    waits_for_caller: AtomicBool,
    too_large: AtomicBool,
    cut_short: AtomicBool,
}

impl Progress {
    /// A number that changes whenever body bytes move.
    pub(crate) fn made(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }

    /// Whether the upstream would take more but the caller sends nothing.
    pub(crate) fn waits_for_caller(&self) -> bool {
        self.0.waits_for_caller.load(Ordering::Relaxed)
    }

    /// Why the upload was given up, if it was.
    pub(crate) fn failure(&self) -> Option<UploadError> {
        if self.0.too_large.load(Ordering::Relaxed) {
            Some(UploadError::TooLarge)
        } else if self.0.cut_short.load(Ordering::Relaxed) {
            Some(UploadError::CutShort)
        } else {
            None
        }
    }
}

/// A request body that ends in an error rather than past the limit, and rather
/// than before its framing says so. Trailers are dropped.
pub(crate) struct Upload {
    /// `SyncWrapper`: reqwest asks for `Sync`, which axum's body is not; only
    /// `&mut` access is ever made.
    body: SyncWrapper<Body>,
    /// As declared by the caller; fixes the upstream's `Content-Length`.
    declared: SizeHint,
    /// Bytes still allowed.
    allowance: u64,
    progress: Progress,
}

impl Upload {
    /// `limit` is in bytes.
    pub(crate) fn new(body: Body, limit: u64) -> Self {
        Self {
            declared: body.size_hint(),
            body: SyncWrapper::new(body),
            allowance: limit,
            progress: Progress::default(),
        }
    }

    /// Whether the declared length alone is too much.
    pub(crate) fn is_declared_too_large(&self) -> bool {
        self.declared.lower() > self.allowance
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let this = self.get_mut();
        loop {
            let shared = &this.progress.0;
            let polled = Pin::new(this.body.get_mut()).poll_frame(cx);
            shared
                .waits_for_caller
                .store(polled.is_pending(), Ordering::Relaxed);
            let Some(frame) = ready!(polled) else {
                return Poll::Ready(None);
            };
            let Ok(frame) = frame else {
                shared.cut_short.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(UploadError::CutShort)));
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(allowance) = this.allowance.checked_sub(len) else {
                shared.too_large.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(UploadError::TooLarge)));
            };
            this.allowance = allowance;
            shared.frames.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared
    }

    fn is_end_stream(&self) -> bool {
        self.declared.exact() == Some(0)
    }
}

//! The caller's request body on its way up: counted, capped, never completed by us.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sync_wrapper::SyncWrapper;
use tokio::time::Sleep;

use crate::lanes::Departure;
use crate::limits::Limits;

/// Why an upload was given up. reqwest aborts the upstream request on it, so
/// that what was sent so far never becomes a complete request.
#[derive(Debug)]
pub(crate) enum UploadError {
    TooLarge,
    CutShort,
    Stalled,
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is too large",
            Self::CutShort => "the request body was cut short",
            Self::Stalled => "the request body stopped coming",
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
    too_large: AtomicBool,
    cut_short: AtomicBool,
    stalled: AtomicBool,
}

impl Progress {
    /// A number that changes whenever body bytes move.
    pub(crate) fn made(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }

    /// Why the upload was given up, if it was.
    pub(crate) fn failure(&self) -> Option<UploadError> {
        if self.0.too_large.load(Ordering::Relaxed) {
            Some(UploadError::TooLarge)
        } else if self.0.cut_short.load(Ordering::Relaxed) {
            Some(UploadError::CutShort)
        } else if self.0.stalled.load(Ordering::Relaxed) {
            Some(UploadError::Stalled)
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
    /// How long the caller may send nothing while the upstream would take more.
    patience: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    progress: Progress,
    /// Told when the upstream's connection begins to take this body.
    departure: Option<Departure>,
}

impl Upload {
    pub(crate) fn new(body: Body, limits: &Limits) -> Self {
        Self {
            declared: body.size_hint(),
            body: SyncWrapper::new(body),
            allowance: limits.max_body,
            patience: limits.body_timeout,
            silence: None,
            progress: Progress::default(),
            departure: None,
        }
    }

    pub(crate) fn leaving_by(self, departure: Departure) -> Self {
        Self {
            departure: Some(departure),
            ..self
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
        if let Some(departure) = this.departure.take() {
            departure.leave();
        }
        loop {
            let shared = &this.progress.0;
            let Poll::Ready(frame) = Pin::new(this.body.get_mut()).poll_frame(cx) else {
                let limit = this.patience;
                let silence = this
                    .silence
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                ready!(silence.as_mut().poll(cx));
                shared.stalled.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(UploadError::Stalled)));
            };
            this.silence = None;
            let Some(frame) = frame else {
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

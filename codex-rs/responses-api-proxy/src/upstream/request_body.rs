//! The caller's request body on its way up: counted, capped, never completed by us.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use codex_deadline::Deadline;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use crate::config::limits::{self, Limits};
use crate::dumps::Dump;
use crate::inspect::request::RequestModel;
use crate::net::coalesce::{Coalesced, Handover};
use crate::observe::record::Record;
use crate::upstream::{Outgoing, RequestGuard};

/// How much of a body is written at once if it comes in small pieces, in bytes: so that an upstream that
/// does not read has few of them kept for it.
const WRITTEN_AT_ONCE: usize = 4 * 1024;

/// How much of a body may wait to be written to an upstream that does not read, in bytes.
const UNDER_WAY: u64 = 4 * 1024;

/// Why an upload was given up. hyper aborts the upstream request on it, so
/// that what was sent so far never becomes a complete request.
#[derive(Debug)]
pub(crate) enum RequestBodyError {
    TooLarge,
    CutShort,
    Stalled,
    Untaken,
}

impl fmt::Display for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is too large",
            Self::CutShort => "the request body was cut short",
            Self::Stalled => "the request body stopped coming",
            Self::Untaken => "the upstream takes nothing of the request body",
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
}

impl Shared {
    fn note(&self, error: &RequestBodyError) {
        let flag = match error {
            RequestBodyError::TooLarge => &self.too_large,
            RequestBodyError::CutShort => &self.cut_short,
            RequestBodyError::Stalled => &self.stalled,
            RequestBodyError::Untaken => &self.untaken,
        };
        flag.store(true, Ordering::Relaxed);
    }
}

impl Progress {
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
        } else {
            None
        }
    }
}

/// A request body that ends in an error rather than past the limit, and rather
/// than before its framing says so. Trailers are dropped.
pub(crate) struct RequestBody {
    /// Small pieces are joined: each would be kept for itself where the upstream does not read.
    body: Coalesced<Body>,
    /// As declared by the caller; fixes the upstream's `Content-Length`.
    declared: SizeHint,
    /// Bytes still allowed.
    allowance: u64,
    /// How long the caller may send nothing while the upstream would take more.
    timeout: Duration,
    silence: Option<Deadline>,
    /// How long the upstream takes nothing of it.
    untaken: Option<Deadline>,
    progress: Progress,
    /// How much is under way, where that is not bounded by the connection.
    pace: Option<Pace>,
    /// Its limit, until it is dropped.
    guard: Option<RequestGuard>,
    /// Of the request, where somebody keeps one.
    record: Option<Arc<Record>>,
    /// Looks for the model that is asked for, while somebody wants to know.
    model: Option<Box<RequestModel>>,
    /// Where it is dumped, until it is over.
    dump: Option<Dump>,
    /// How much of it has gone, in bytes.
    sent: u64,
    /// It breaks off for this reason, once the budget of resets allows it.
    breaking_off: Option<(RequestBodyError, Pin<Box<Sleep>>)>,
}

impl RequestBody {
    pub(crate) fn new(body: Body, limits: &Limits) -> Self {
        Self {
            declared: body.size_hint(),
            body: Coalesced::new(body, Handover::OneByOne, WRITTEN_AT_ONCE),
            allowance: limits.max_body,
            timeout: limits.body_timeout,
            silence: None,
            untaken: None,
            progress: Progress::default(),
            guard: None,
            pace: None,
            record: None,
            model: None,
            dump: None,
            sent: 0,
            breaking_off: None,
        }
    }

    /// Has what goes up noted in the request's record.
    pub(crate) fn recorded(mut self, record: &Arc<Record>) -> Self {
        self.model = record
            .observer()
            .keeps_records()
            .then(|| Box::new(RequestModel::new()));
        self.record = Some(Arc::clone(record));
        self
    }

    /// Has what goes up dumped.
    pub(crate) fn dumped(mut self, dump: Option<Dump>) -> Self {
        self.dump = dump;
        self.finish_dump_if_whole();
        self
    }

    fn dump_sent(&mut self, data: &Bytes) {
        if let Some(dump) = &mut self.dump {
            dump.take(data);
            self.sent += u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.finish_dump_if_whole();
        }
    }

    /// Nobody asks for the end of a body that is as long as it was declared.
    fn finish_dump_if_whole(&mut self) {
        if self.declared.exact() == Some(self.sent) {
            self.finish_dump();
        }
    }

    fn finish_dump(&mut self) {
        if let Some(dump) = self.dump.take() {
            dump.finish();
        }
    }

    fn note_sent(&mut self, data: &Bytes) {
        self.dump_sent(data);
        let Some(record) = &self.record else {
            return;
        };
        record.count_request_bytes(data.len());
        if let Some(model) = &mut self.model {
            model.push(data);
            if let Some(found) = model.model() {
                record.note_request_model(found);
                self.model = None;
            }
        }
    }

    /// Has it go by the connection of `guard`, which is kept until the last of the body has gone.
    pub(crate) fn leave_by(&mut self, guard: RequestGuard) {
        self.pace = guard.connection().outgoing().map(|outgoing| Pace {
            // What is written first is the head: that much more may be under way.
            due: outgoing.written(),
            outgoing: outgoing.clone(),
        });
        self.guard = Some(guard);
    }

    /// It does not go by that connection after all.
    pub(crate) fn stay(&mut self) {
        self.guard = None;
        self.pace = None;
    }

    /// Breaks off with `error`, now or when the budget of resets allows it; what is over is noted now.
    fn break_off(
        &mut self,
        error: RequestBodyError,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        self.progress.0.note(&error);
        let guard = self.guard.as_ref();
        let resets = guard.and_then(|guard| guard.connection().resets());
        let wait = resets.map_or(Duration::ZERO, |resets| resets.reserve());
        if wait.is_zero() {
            return Poll::Ready(Some(Err(error)));
        }
        self.breaking_off = Some((error, Box::pin(tokio::time::sleep(wait))));
        self.poll_broken_off(cx)
    }

    fn poll_broken_off(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if let Some((_, wait)) = &mut self.breaking_off {
            ready!(wait.as_mut().poll(cx));
        }
        Poll::Ready(self.breaking_off.take().map(|(error, _)| Err(error)))
    }

    /// Whether the declared length alone is too much.
    pub(crate) fn is_declared_too_large(&self) -> bool {
        self.declared.lower() > self.allowance
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// Keeps what was handed over and is not written yet below [`UNDER_WAY`].
#[derive(Debug)]
struct Pace {
    outgoing: Outgoing,
    /// What will have been written when all that was handed over is.
    due: u64,
}

impl Pace {
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_behind = || self.due.saturating_sub(self.outgoing.written()) >= UNDER_WAY;
        if !is_behind() {
            return Poll::Ready(());
        }
        self.outgoing.wake_when_written(cx);
        if is_behind() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        if this.breaking_off.is_some() {
            return this.poll_broken_off(cx);
        }
        if let Some(pace) = &this.pace
            && pace.poll_room(cx).is_pending()
        {
            // By then the answer may be over, and the caller gone without anybody noticing.
            let untaken = this
                .untaken
                .get_or_insert_with(|| Deadline::after(limits::STALLED));
            ready!(Pin::new(untaken).poll(cx));
            return this.break_off(RequestBodyError::Untaken, cx);
        }
        this.untaken = None;
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                let limit = this.timeout;
                let silence = this.silence.get_or_insert_with(|| Deadline::after(limit));
                ready!(Pin::new(silence).poll(cx));
                return this.break_off(RequestBodyError::Stalled, cx);
            };
            this.silence = None;
            let Some(frame) = frame else {
                this.finish_dump();
                return Poll::Ready(None);
            };
            let Ok(frame) = frame else {
                return this.break_off(RequestBodyError::CutShort, cx);
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(allowance) = this.allowance.checked_sub(len) else {
                return this.break_off(RequestBodyError::TooLarge, cx);
            };
            this.allowance = allowance;
            this.progress.0.frames.fetch_add(1, Ordering::Relaxed);
            this.note_sent(&data);
            if let Some(pace) = &mut this.pace {
                pace.due += len;
            }
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

//! The caller's request body on its way up: counted, capped, never completed by us.

use std::pin::Pin;
use std::sync::Arc;
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
use crate::upstream::RequestGuard;
use crate::upstream::pace::Pace;
use crate::upstream::request_progress::{Progress, RequestBodyError};

/// How much of a body is written at once if it comes in small pieces, in bytes: so that an upstream that
/// does not read has few of them kept for it.
const WRITTEN_AT_ONCE: usize = 4 * 1024;

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
        self.pace = guard.connection().outgoing().map(Pace::from_now);
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
        self.progress.note_failure(&error);
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
            this.progress.note_piece();
            this.note_sent(&data);
            if let Some(pace) = &mut this.pace {
                pace.add(len);
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

//! The caller's request body on its way up: counted, capped, never completed by us.
//!
//! Where it is inspected, the last piece waits until all of it was seen and found to be allowed: an upstream never has
//! a complete request that is not.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use codex_deadline::Deadline;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use crate::access::inspection::Inspection;
use crate::access::reservation::Reservation;
use crate::config::limits::{self, Limits};
use crate::dumps::Dump;
use crate::net::coalesce::{Coalesced, Handover};
use crate::observe::record::Record;
use crate::upstream::RequestGuard;
use crate::upstream::pace::Pace;
use crate::upstream::request_notes::RequestNotes;
use crate::upstream::request_progress::{Progress, RequestBodyError};

/// How much of a body is written at once if it comes in small pieces, in bytes: so that an upstream that
/// does not read has few of them kept for it.
const WRITTEN_AT_ONCE: usize = 4 * 1024;

/// How much of a body that is inspected is read before anything goes up, in bytes: refusing a request that has begun
/// costs a connection by HTTP/1.1.
const READ_AHEAD: usize = 64 * 1024;

/// Pieces from this length on, in bytes, wait as they came. Shorter ones are copied: a piece of a byte can keep all of the
/// 16 KiB that it was read into.
const KEPT_WHOLE: usize = 8 * 1024;

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
    /// Told of what goes.
    notes: RequestNotes,
    /// Until it is decided whether the request may go up.
    inspection: Option<Inspection>,
    /// What was read and has not gone up.
    waiting: VecDeque<Bytes>,
    /// How much was read, in bytes.
    read: u64,
    /// All of it was read.
    is_read: bool,
    /// It breaks off for this reason, once the budget of resets allows it.
    breaking_off: Option<(RequestBodyError, Pin<Box<Sleep>>)>,
}

impl RequestBody {
    pub(crate) fn new(body: Body, limits: &Limits) -> Self {
        Self {
            declared: body.size_hint(),
            notes: RequestNotes::of(body.size_hint()),
            body: Coalesced::new(body, Handover::OneByOne, WRITTEN_AT_ONCE),
            allowance: limits.max_body,
            timeout: limits.body_timeout,
            silence: None,
            untaken: None,
            progress: Progress::default(),
            guard: None,
            pace: None,
            inspection: None,
            waiting: VecDeque::new(),
            read: 0,
            is_read: false,
            breaking_off: None,
        }
    }

    /// Has what goes up noted in the request's record.
    pub(crate) fn recorded(mut self, record: &Arc<Record>) -> Self {
        self.notes.record(record);
        self
    }

    /// Has it inspected, and says when all of it has gone.
    pub(crate) fn inspected(
        mut self,
        inspection: Option<Inspection>,
        reservation: Option<Arc<Reservation>>,
    ) -> Self {
        self.inspection = inspection;
        self.notes.charge(reservation);
        self
    }

    /// Of one that is inspected, reads what can be read before anything goes up. Does not delay anything else.
    ///
    /// # Errors
    ///
    /// Why it is given up.
    pub(crate) async fn read_ahead(&mut self) -> Result<(), RequestBodyError> {
        let mut joined = BytesMut::new();
        let mut ahead = 0;
        while self.inspection.is_some() && ahead < READ_AHEAD {
            let Some(piece) = poll_fn(|cx| self.poll_piece(cx)).await? else {
                break;
            };
            ahead += piece.len();
            if piece.len() < KEPT_WHOLE {
                joined.extend_from_slice(&piece);
                continue;
            }
            if !joined.is_empty() {
                self.waiting.push_back(joined.split().freeze());
            }
            self.waiting.push_back(piece);
        }
        if !joined.is_empty() {
            self.waiting.push_back(joined.freeze());
        }
        Ok(())
    }

    /// Has what goes up dumped.
    pub(crate) fn dumped(mut self, dump: Option<Dump>) -> Self {
        self.notes.dump(dump);
        self
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

impl RequestBody {
    /// The next piece that the caller sends, counted and inspected.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, RequestBodyError>> {
        while !self.is_read {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                let limit = self.timeout;
                let silence = self.silence.get_or_insert_with(|| Deadline::after(limit));
                ready!(Pin::new(silence).poll(cx));
                return Poll::Ready(Err(RequestBodyError::Stalled));
            };
            self.silence = None;
            let Some(frame) = frame else {
                self.is_read = true;
                break;
            };
            let frame = frame.map_err(|_| RequestBodyError::CutShort)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let allowance = self.allowance.checked_sub(len);
            self.allowance = allowance.ok_or(RequestBodyError::TooLarge)?;
            self.read += len;
            if let Some(inspection) = &mut self.inspection {
                inspection.push(&data)?;
                // Nobody may ask for the end, and while it is not decided the last piece waits here.
                if self.declared.exact() == Some(self.read) {
                    self.is_read = true;
                }
            }
            return Poll::Ready(Ok(Some(data)));
        }
        if let Some(inspection) = &mut self.inspection {
            ready!(inspection.poll_decide(cx))?;
            self.inspection = None;
        }
        Poll::Ready(Ok(None))
    }

    /// What may go up now of what was read.
    fn next_waiting(&mut self) -> Option<Bytes> {
        let held_back = usize::from(self.inspection.is_some());
        if self.waiting.len() > held_back {
            self.waiting.pop_front()
        } else {
            None
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
        let data = loop {
            if let Some(data) = this.next_waiting() {
                break data;
            }
            match ready!(this.poll_piece(cx)) {
                Ok(Some(data)) if this.waiting.is_empty() && this.inspection.is_none() => {
                    break data;
                }
                Ok(Some(data)) => this.waiting.push_back(data),
                Ok(None) if this.waiting.is_empty() => {
                    this.notes.end();
                    return Poll::Ready(None);
                }
                Ok(None) => {}
                Err(error) => return this.break_off(error, cx),
            }
        };
        this.progress.note_piece();
        let is_last = this.is_read && this.waiting.is_empty();
        this.notes.note(&data, is_last);
        if let Some(pace) = &mut this.pace {
            pace.add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.declared
    }

    fn is_end_stream(&self) -> bool {
        self.declared.exact() == Some(0)
    }
}

//! The upstream's answer on its way down: each piece as it arrives, and an
//! honest end.
//!
//! When the upstream breaks off, the caller must see its connection break off
//! too, after everything that had arrived. hyper drops what it has buffered the
//! moment a body reports an error, so the error is held back until the
//! connection reports ([`ConnectionState::poll_flushed_since`]) that all before it is written.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use codex_ledger::Over;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::credential::redact::Redactor;
use crate::downstream::connection_state::{ConnectionState, FlushMark};
use crate::dumps::Dump;
use crate::forward::meter::Meter;
use crate::net::coalesce::{Coalesced, Handover};
use crate::observe::outcome::Outcome;
use crate::observe::printable::printable;
use crate::observe::record::Record;
use crate::upstream::UpstreamBody;

/// How much of an answer is written at once if it comes in small pieces, in bytes.
const WRITTEN_AT_ONCE: usize = 12 * 1024;

/// The answer was cut; the caller's connection is aborted because of it.
#[derive(Debug)]
pub(crate) struct CutShort;

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream's answer was cut short")
    }
}

impl std::error::Error for CutShort {}

/// A response body fed by the upstream. Dropping it cancels the upstream.
pub(crate) struct ResponseBody {
    upstream: Coalesced<UpstreamBody>,
    redactor: Redactor,
    connection_state: Arc<ConnectionState>,
    record: Arc<Record>,
    /// `None` where nobody asks.
    meter: Option<Box<Meter>>,
    /// Where it is dumped, until it is over.
    dump: Option<Dump>,
    state: State,
}

enum State {
    Flowing,
    /// The upstream broke off; what arrived before is still to be written.
    Breaking,
    /// All of it is handed over; the flush that lets us say so is awaited.
    Broken(FlushMark),
    Over,
}

impl ResponseBody {
    pub(super) fn new(
        upstream: UpstreamBody,
        redactor: Redactor,
        connection_state: Arc<ConnectionState>,
        record: Arc<Record>,
        meter: Option<Box<Meter>>,
    ) -> Self {
        Self {
            meter,
            upstream: Coalesced::new(upstream, Handover::AtOnce, WRITTEN_AT_ONCE),
            redactor,
            connection_state,
            record,
            dump: None,
            state: State::Flowing,
        }
    }

    /// Has what goes down dumped.
    pub(crate) fn dumped(mut self, dump: Option<Dump>) -> Self {
        self.dump = dump;
        self
    }

    /// Gives what is about to be written to whoever reads along.
    ///
    /// # Errors
    ///
    /// It costs more than a limit leaves.
    fn note(&mut self, data: &[u8]) -> Result<(), Over> {
        if let Some(meter) = &mut self.meter {
            meter.take(data, &self.record)?;
        }
        if let Some(dump) = &mut self.dump {
            dump.take(data);
        }
        Ok(())
    }

    /// All of it is known, and was given to whoever reads along.
    fn finish_meter(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.finish(&self.record);
        }
    }

    fn finish_dump(&mut self) {
        if let Some(dump) = self.dump.take() {
            dump.finish();
        }
    }

    /// What the redactor held back until it knew what follows.
    fn last_held(&mut self) -> Option<Bytes> {
        let held = self.redactor.finish();
        if let Some(held) = &held {
            // What is held back is less than what a limit could stand on.
            let _ = self.note(held);
        }
        held
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.redactor.has_found() {
            self.record.observer().say_key_in_answer();
        }
        self.finish_meter();
        // Nobody asks for the end of one that says it is there.
        if matches!(self.state, State::Flowing) && self.is_end_stream() {
            self.finish_dump();
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let this = self.get_mut();
        loop {
            match this.state {
                State::Flowing => match ready!(Pin::new(&mut this.upstream).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            let data = this.redactor.take(data);
                            if this.note(&data).is_err() {
                                this.record.conclude(Outcome::OverBudget);
                                this.state = State::Breaking;
                                continue;
                            }
                            if this.is_end_stream() {
                                // Before the caller can know: its next request finds this one charged.
                                this.finish_meter();
                            }
                            if !data.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(data))));
                            }
                        }
                        // Trailers describe the hop they came by; dropped.
                        Err(_trailers) => {}
                    },
                    Some(Err(fault)) => {
                        this.record.conclude(Outcome::UpstreamCut {
                            code: fault.reason().code(),
                            cause: printable(&fault.to_string()),
                        });
                        this.state = State::Breaking;
                    }
                    None => {
                        this.state = State::Over;
                        let held = this.last_held();
                        this.finish_meter();
                        this.finish_dump();
                        return Poll::Ready(held.map(|held| Ok(Frame::data(held))));
                    }
                },
                State::Breaking => match this.last_held() {
                    Some(held) => return Poll::Ready(Some(Ok(Frame::data(held)))),
                    None => this.state = State::Broken(this.connection_state.mark()),
                },
                State::Broken(mark) => {
                    ready!(this.connection_state.poll_flushed_since(mark));
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(CutShort)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.upstream.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        match self.state {
            // What the redactor holds back comes after the upstream's end.
            State::Flowing => self.upstream.is_end_stream() && !self.redactor.holds_back(),
            State::Breaking | State::Broken(_) => false,
            State::Over => true,
        }
    }
}

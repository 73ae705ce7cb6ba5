//! A response body whose exchange stays open until it is written or dropped, and of which
//! hyper buffers little for a caller that does not read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::downstream::connection_state::{Exchange, FlushMark};
use crate::downstream::load::InFlight;
use crate::observe::record::OpenRecord;

/// Once so much of an answer was handed to hyper, in bytes, the rest waits until that has
/// reached the socket. hyper's own limit is as large as a request head.
const MAX_UNWRITTEN: usize = 4 * 1024;

/// Any answer, ours or the upstream's, on its way to hyper.
pub(crate) struct Answer {
    body: Body,
    exchange: Exchange,
    /// Finished when this goes.
    record: OpenRecord,
    _in_flight: InFlight,
    /// How many bytes were handed over since everything was known to be written.
    unwritten: usize,
    /// When the last of them was.
    last: FlushMark,
}

impl Answer {
    pub(crate) fn new(
        body: Body,
        exchange: Exchange,
        record: OpenRecord,
        in_flight: InFlight,
    ) -> Self {
        Self {
            body,
            record,
            _in_flight: in_flight,
            last: exchange.connection_state().mark(),
            exchange,
            unwritten: 0,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // hyper does not ask for more where it knows that there is none.
        if self.body.is_end_stream() {
            self.record.note_whole();
        } else if self.exchange.connection_state().has_stalled() {
            self.record.note_stalled();
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let connection_state = this.exchange.connection_state();
        if this.unwritten >= MAX_UNWRITTEN {
            ready!(connection_state.poll_flushed_since(this.last));
            this.unwritten = 0;
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.unwritten += data.len();
            if !connection_state.is_reset() {
                this.record.count_response_bytes(data.len());
            }
            this.last = connection_state.mark();
        }
        if frame.is_none() {
            this.record.note_whole();
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

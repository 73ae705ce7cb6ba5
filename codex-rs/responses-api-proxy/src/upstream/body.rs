//! The body of an upstream's answer, and what happens to it when nobody wants it any more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::coop;

use crate::upstream::error::UpstreamError;

use super::exchange::Exchange;

/// The body as it arrives. Dropped before its end, it cancels the request.
pub(crate) struct UpstreamBody {
    /// `None` once it is over.
    under_way: Option<(Incoming, Exchange)>,
}

impl UpstreamBody {
    pub(super) fn new(body: Incoming, exchange: Exchange) -> Self {
        Self {
            under_way: Some((body, exchange)),
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if let Some((body, exchange)) = self.under_way.take()
            && !body.is_end_stream()
        {
            if is_whole(&body) {
                exchange.end_with(body);
            } else {
                exchange.cancel(body);
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = self.get_mut();
        let Some((body, exchange)) = &mut this.under_way else {
            return Poll::Ready(None);
        };
        // One of the steps of a turn for each piece, however small: whoever reads drives the connection, and
        // would never come to an end of one that never pauses.
        let step = ready!(coop::poll_proceed(cx));
        let mut polled = Pin::new(&mut *body).poll_frame(cx);
        if polled.is_pending() && exchange.receive(cx) {
            polled = Pin::new(&mut *body).poll_frame(cx);
        }
        if polled.is_ready() {
            step.made_progress();
        }
        // Nobody asks for the end behind the last byte of a body whose length is declared. Over HTTP/2 it may be there, and
        // without it the stream would be taken for one that is given up.
        if matches!(polled, Poll::Ready(Some(Ok(_))))
            && is_whole(body)
            && !body.is_end_stream()
            && matches!(Pin::new(&mut *body).poll_frame(cx), Poll::Ready(None))
        {
            this.under_way = None;
            return polled.map_err(|error| UpstreamError::from_error(&error));
        }
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            this.under_way = None;
        } else if matches!(polled, Poll::Ready(None)) {
            // hyper takes a stream that was reset with NO_ERROR for one that ended; an end that HTTP/2
            // means (RFC 9113, section 8.1) is known as one.
            let is_reset = exchange.connection().is_http_2() && !body.is_end_stream();
            this.under_way = None;
            if is_reset {
                let reset = UpstreamError::Closed("stream reset".to_owned());
                return Poll::Ready(Some(Err(reset)));
            }
        }
        polled.map_err(|error| UpstreamError::from_error(&error))
    }

    fn size_hint(&self) -> SizeHint {
        self.under_way
            .as_ref()
            .map_or_else(SizeHint::default, |(body, _)| body.size_hint())
    }

    fn is_end_stream(&self) -> bool {
        // By its length, too: of a body whose length is declared nobody asks for the end behind the last byte.
        self.under_way
            .as_ref()
            .is_none_or(|(body, _)| body.is_end_stream() || is_whole(body))
    }
}

/// Whether all of the bytes have come that the answer's head has declared.
fn is_whole(body: &Incoming) -> bool {
    body.size_hint().exact() == Some(0)
}

//! The body of an upstream's answer, and what happens to it when nobody wants it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::upstream_fault::UpstreamFault;

use super::exchange::Exchange;

/// The body as it arrives. Dropped before its end, it cancels the request.
pub(crate) struct UpstreamBody {
    /// `None` once it has been given up.
    body: Option<Incoming>,
    exchange: Option<Exchange>,
}

impl UpstreamBody {
    pub(super) fn new(body: Incoming, exchange: Exchange) -> Self {
        Self {
            body: Some(body),
            exchange: Some(exchange),
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if let (Some(body), Some(exchange)) = (self.body.take(), self.exchange.take()) {
            if body.is_end_stream() {
                drop(body);
            } else {
                exchange.cancel(body);
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamFault>>> {
        match &mut self.get_mut().body {
            Some(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| UpstreamFault::from_error(&error)),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

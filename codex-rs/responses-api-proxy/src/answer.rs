//! A response body that keeps its exchange open until it is written or dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::link::Exchange;

/// Any answer, ours or the upstream's, on its way to hyper.
pub(crate) struct Answer {
    body: Body,
    _open: Exchange,
}

impl Answer {
    pub(crate) fn new(body: Body, exchange: Exchange) -> Self {
        Self {
            body,
            _open: exchange,
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
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

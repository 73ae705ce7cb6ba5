//! One request under way: its place on a connection and among the requests, until all of it is over.
//!
//! The two halves end on their own: an upstream may answer, and end its answer, before it has the whole
//! request. So both hold the permit, the answer as an [`Exchange`] and the request body as [`RequestGuard`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use codex_deadline::within;
use http_body::Body;
use hyper::body::Incoming;

use crate::access::request_limit::RequestPermit;

use super::connection::{Connection, OwnDrive};
use super::connector::Connector;
use super::pool::Lease;

/// How long after the last byte of an answer its end may come.
const END_COMES_WITHIN: Duration = Duration::from_secs(1);

/// What a request holds while any of it is under way, given back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct RequestGuard(Arc<Taken>);

struct Taken {
    lease: Lease<Connector>,
    permit: RequestPermit,
}

impl RequestGuard {
    pub(super) fn new(lease: Lease<Connector>, permit: RequestPermit) -> Self {
        Self(Arc::new(Taken { lease, permit }))
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.0.lease.connection()
    }
}

/// The answer's half of a request under way.
pub(crate) struct Exchange {
    guard: RequestGuard,
    /// Once all of the request is sent, where nobody else needs the connection.
    drive: Option<OwnDrive>,
}

impl Exchange {
    pub(super) fn new(guard: RequestGuard) -> Self {
        Self { guard, drive: None }
    }

    /// Has the connection hand over what it has received by now, if that takes whoever reads it; false if
    /// it comes by itself.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        // Until it is written, too, the request's body is to go on even if nobody reads the answer.
        let is_sent = Arc::strong_count(&self.guard.0) == 1;
        if self.drive.is_none() && is_sent {
            self.drive = self.connection().lend();
        }
        if let Some(drive) = &self.drive {
            drive.drive(cx);
        }
        self.drive.is_some()
    }

    /// The permit among the requests, for another try on another connection; `None` if the body of the
    /// request holds it still.
    pub(super) fn into_permit(self) -> Option<RequestPermit> {
        Arc::into_inner(self.guard.0).map(|taken| taken.permit)
    }

    pub(super) fn connection(&self) -> &Connection {
        self.guard.connection()
    }

    /// Has an HTTP/1.1 connection end with this exchange. A server that refuses a request may not have read
    /// all of its body, which is with the kernel by then; if it closes the connection because of that, a request
    /// that was sent meanwhile is lost.
    pub(super) fn use_no_more(&self) {
        self.guard.0.lease.spoil();
    }

    /// Waits a moment for the end of an answer of which every byte has come: a server may send the end of an HTTP/2 stream
    /// on its own. Only without it is the request given up.
    pub(super) fn end_with(self, mut whole: Incoming) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return self.cancel(whole);
        };
        runtime.spawn(async move {
            let rest = async {
                // Trailers, at most.
                while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut whole).poll_frame(cx)).await {}
            };
            let ended = within(END_COMES_WITHIN, rest).await;
            if ended.is_none() {
                self.cancel(whole);
            }
        });
    }

    /// Gives up the request whose answer is `unfinished`: at once if the connection's budget of resets
    /// allows it, later otherwise. Until then it counts as under way.
    pub(super) fn cancel(self, unfinished: impl Send + 'static) {
        self.guard.0.lease.spoil();
        self.connection().end();
        let wait = match self.connection().resets() {
            Some(resets) => resets.reserve(),
            None => Duration::ZERO,
        };
        // At the end of the process there is no runtime any more, and nothing left to wait for.
        if let (false, Ok(runtime)) = (wait.is_zero(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                tokio::time::sleep(wait).await;
                drop(unfinished);
                drop(self);
            });
        } else {
            drop(unfinished);
        }
    }
}

/// An answer that has not begun. Dropped before it has, it cancels the request.
pub(super) struct Answer<F: Send + 'static> {
    /// Both are there until one of the two ways out is taken.
    pending: Option<(Pin<Box<F>>, Exchange)>,
}

impl<F: Future + Send + 'static> Answer<F> {
    pub(super) fn new(answer: F, exchange: Exchange) -> Self {
        Self {
            pending: Some((Box::pin(answer), exchange)),
        }
    }
}

impl<F: Future + Send + 'static> Future for Answer<F> {
    type Output = (F::Output, Exchange);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((mut answer, exchange)) = self.pending.take() else {
            return Poll::Pending;
        };
        match answer.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready((outcome, exchange)),
            Poll::Pending => {
                self.pending = Some((answer, exchange));
                Poll::Pending
            }
        }
    }
}

impl<F: Send + 'static> Drop for Answer<F> {
    fn drop(&mut self) {
        if let Some((answer, exchange)) = self.pending.take() {
            exchange.cancel(answer);
        }
    }
}

//! `GET /metrics`, at a place and on a thread of its own: to write all metrics can take milliseconds, which no answer
//! is to wait for.
//!
//! No caller's request comes here and no key is within reach of it, so heads are read by hyper alone. Whoever can
//! connect may ask, apart from browsers: that is a matter of where the socket is.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use codex_deadline::within;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::access::peer_users::PeerUsers;
use crate::access::policy::permit_metrics;
use crate::config::limits::MAX_HEADERS;
use crate::downstream::listener_thread::ListenerThread;
use crate::downstream::newest_tasks::NewestTasks;
use crate::net::listeners::{BoundListener, Listeners};
use crate::net::socket::Socket;
use crate::observe::metrics::exposition::{self, Exposition};

/// How many are answered at once; for the next the oldest is closed of whichever user has most.
const MOST_AT_ONCE: usize = 8;

/// How long one may take, from its connection to the last byte of its answer: the default of Prometheus.
const TIME: Duration = Duration::from_secs(10);

/// The longest head, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Descriptors that all of this takes: the runtime's, the listener's, and those of connections.
pub(crate) const DESCRIPTORS: u64 = 16;

/// Answers until this is dropped. `users` tell whose a connection is.
///
/// # Errors
///
/// When there is no thread, no descriptor to poll with, or a listener that cannot be polled.
pub(crate) fn start(
    listener: BoundListener,
    users: Arc<PeerUsers>,
    exposition: Exposition,
) -> io::Result<ListenerThread> {
    ListenerThread::start("metrics", listener, move |listeners| {
        accept(listeners, users, Arc::new(exposition))
    })
}

/// Accepts for ever.
async fn accept(
    listeners: Listeners,
    users: Arc<PeerUsers>,
    exposition: Arc<Exposition>,
) -> Infallible {
    let mut open = NewestTasks::new(MOST_AT_ONCE);
    loop {
        let Ok(socket) = listeners.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let user = users.user_of(&socket);
        open.add_of(user, within(TIME, answer(socket, Arc::clone(&exposition))));
        // Of many that come at once each has a turn before the next ones end it: whoever has asked by then is answered.
        tokio::task::yield_now().await;
    }
}

/// Answers one request on a connection, and closes it.
async fn answer(socket: Socket, exposition: Arc<Exposition>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&exposition, request);
        async { response }
    });
    // How it ends is the other side's affair.
    let _ended = http1::Builder::new()
        .header_read_timeout(None)
        .half_close(false)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

/// # Errors
///
/// When the metrics cannot be written; there is no answer then.
fn respond(
    exposition: &Exposition,
    request: Request<Incoming>,
) -> Result<Response<Body>, fmt::Error> {
    let (head, _body) = request.into_parts();
    if let Err(refusal) = permit_metrics(&head) {
        return Ok(refusal.into_response());
    }
    let mut response = Response::new(Body::from(exposition.text()?));
    let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

//! One caller's connection: waits for a request, answers it, and the next.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tower_service::Service;

use crate::access::peer_users::PeerUser;
use crate::config::limits::{MAX_HEAD, MAX_HEADERS};
use crate::downstream::connection_state::ConnectionState;
use crate::downstream::load::{Counted, InFlight};
use crate::downstream::response::Answer;
use crate::downstream::transport::Downstream;
use crate::lifecycle::shutdown::{Shutdown, Stage};
use crate::observe::observer::Observer;
use crate::observe::record::OpenRecord;
use crate::observe::request_id::REQUEST_ID;
use crate::refusal::Refused;

/// The most hyper buffers for one connection, each way, in bytes: a head of the largest size
/// must be less.
const CONNECTION_BUFFER: usize = MAX_HEAD + 1;

/// A connection that was accepted has so long to show its request, even if the proxy is told to end meanwhile: its
/// caller has no reason to think that nobody is there. On one host that is much.
const TO_SPEAK: Duration = Duration::from_millis(250);

/// One caller's connection, from its acceptance to its end.
pub(crate) struct Connection {
    pub(crate) connection_state: Arc<ConnectionState>,
    pub(crate) user: PeerUser,
    pub(crate) router: Router,
    pub(crate) shutdown: Shutdown,
    pub(crate) observer: Observer,
    /// Only of a connection that the drain waits for.
    pub(crate) in_flight: Option<mpsc::Sender<Infallible>>,
    /// Counts as one of its worker's until it is over.
    pub(crate) counted: Counted,
}

impl Connection {
    /// How it ends is the caller's affair; faults of the upstream are reported
    /// where they are found.
    pub(crate) async fn serve(self, downstream: Downstream) {
        let (connection_state, shutdown) =
            (Arc::clone(&self.connection_state), self.shutdown.clone());
        tokio::select! {
            () = self.receive_and_answer(downstream) => {}
            () = connection_state.evicted() => {}
        }
        if connection_state.ends_the_proxy() {
            shutdown.advance();
        }
    }

    async fn receive_and_answer(self, mut downstream: Downstream) {
        let drains = self.in_flight.is_some();
        let accepted = Instant::now();
        let told_to_end = async {
            self.shutdown.reached(Stage::Draining).await;
            sleep_until(accepted + TO_SPEAK).await;
        };
        let begun = tokio::select! {
            // What has arrived by then is answered.
            biased;
            begun = downstream.receive() => begun,
            () = told_to_end, if drains => false,
        };
        if begun {
            // On the heap: a connection that never gets here is not to pay for it.
            Box::pin(self.answer_all(downstream)).await;
        }
    }

    async fn answer_all(self, downstream: Downstream) {
        let drains = self.in_flight.is_some();
        let (connection_state, router, user) = (self.connection_state, self.router, self.user);
        let (observer, counted) = (self.observer, self.counted);
        let service = service_fn(|request: Request<Incoming>| {
            let record = OpenRecord::begin(&observer, user.0, Some(request.method()));
            let connection_state = Arc::clone(&connection_state);
            let in_flight = counted.request();
            answer(
                router.clone(),
                connection_state,
                user,
                record,
                in_flight,
                request,
            )
        });
        let connection = http1::Builder::new()
            // Heads are timed before they get here.
            .header_read_timeout(None)
            // A caller that closes its side counts as one that left.
            .half_close(false)
            // Each answer leaves by itself.
            .pipeline_flush(false)
            .max_headers(MAX_HEADERS)
            .max_buf_size(CONNECTION_BUFFER)
            .keep_alive(drains)
            .serve_connection(TokioIo::new(downstream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            // hyper closes a connection on which it has seen nothing yet, and the head is here.
            biased;
            _ended = connection.as_mut() => {}
            () = self.shutdown.reached(Stage::Draining), if drains => {
                connection.as_mut().graceful_shutdown();
                let _ended = connection.await;
            }
        }
    }
}

/// One request, one answer, and what ties them to their connection.
async fn answer(
    mut router: Router,
    connection_state: Arc<ConnectionState>,
    user: PeerUser,
    record: OpenRecord,
    in_flight: InFlight,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let ends_by_close = request.version() == Version::HTTP_10;
    let ends_connection = request.headers().contains_key(TRANSFER_ENCODING);
    let exchange = connection_state.open_exchange(ends_by_close);
    request.extensions_mut().insert(connection_state);
    request.extensions_mut().insert(user);
    request.extensions_mut().insert(Arc::clone(&record));
    let mut response = router.call(request.map(Body::new)).await?;
    if let Some(Refused(outcome)) = response.extensions_mut().remove() {
        exchange.connection_state().note_refusal();
        record.conclude(outcome);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, record.id().to_header());
    if ends_connection {
        // `downstream/head.rs` looks for no head behind a chunked body.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    record.note_status(response.status());
    Ok(response.map(|body| Answer::new(body, exchange, record, in_flight)))
}

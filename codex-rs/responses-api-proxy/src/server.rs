//! Accepts connections, serves each one, drains them at the end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tower_service::Service;

use crate::answer::Answer;
use crate::callers::{Callers, Verdict};
use crate::door::{Door, Full, Guest};
use crate::downstream::Downstream;
use crate::inbound::{MAX_HEAD, MAX_HEADERS};
use crate::link::Link;
use crate::listeners::Listeners;
use crate::refusal::Refusal;
use crate::report;
use crate::shutdown::{Shutdown, Stage};

/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for a place when none is free.
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// The most hyper reads ahead or holds back for one connection, in bytes: one
/// head of the largest size and some body behind it.
const CONNECTION_BUFFER: usize = MAX_HEAD + 16 * 1024;

/// What [`serve`] needs to know.
pub(crate) struct Terms {
    pub(crate) router: Router,
    pub(crate) shutdown: Shutdown,
    pub(crate) door: Arc<Door>,
    pub(crate) callers: Callers,
    pub(crate) header_timeout: Duration,
    /// How long answers in flight may go on once draining.
    pub(crate) drain_timeout: Duration,
    /// Whether a second `GET /shutdown` must still get in while draining.
    pub(crate) listen_while_draining: bool,
}

/// Serves until shut down; returns how many connections had to be cut.
pub(crate) async fn serve(listeners: Listeners, terms: Terms) -> usize {
    let shutdown = terms.shutdown.clone();
    // Every connection of the serving time holds a sender; the last one's end is
    // the end of the channel. Nothing is ever sent.
    let (in_flight, mut all_done) = mpsc::channel::<Infallible>(1);
    tokio::select! {
        never = accept_all(&listeners, &terms, Some(&in_flight)) => match never {},
        () = shutdown.reached(Stage::Draining) => {}
    }
    let connections = in_flight.strong_count() - 1;
    drop(in_flight);
    let listeners = terms.listen_while_draining.then_some(listeners);
    let late = async {
        match &listeners {
            Some(listeners) => accept_all(listeners, &terms, None).await,
            None => std::future::pending().await,
        }
    };
    if connections > 0 {
        report::line(format_args!(
            "shutting down; connections with {:?} to finish: {connections}",
            terms.drain_timeout
        ));
    }
    let mut left = 0;
    tokio::select! {
        never = late => match never {},
        _closed = all_done.recv() => {}
        () = shutdown.reached(Stage::Over) => left = all_done.sender_strong_count(),
        () = tokio::time::sleep(terms.drain_timeout) => left = all_done.sender_strong_count(),
    }
    left
}

/// Accepts for ever. Running out of descriptors or memory is waited out: the
/// listener must outlive any flood.
async fn accept_all(
    listeners: &Listeners,
    terms: &Terms,
    in_flight: Option<&mpsc::Sender<Infallible>>,
) -> Infallible {
    let mut failing = false;
    loop {
        match listeners.accept().await {
            Ok(socket) => {
                failing = false;
                let link = Arc::new(Link::default());
                // Now, while the caller is still there to be looked at.
                let (verdict, user) = terms.callers.judge(&socket);
                let mut admitted = terms.door.admit(&link, user);
                if matches!(admitted, Err(Full::Everywhere)) {
                    // One may be about to fall quiet: its caller has the answer already.
                    tokio::time::sleep(SECOND_LOOK).await;
                    admitted = terms.door.admit(&link, user);
                }
                let guest = match admitted {
                    Ok(guest) => guest,
                    Err(full) => {
                        // As much of it as the socket takes; nobody is waited for.
                        let _ = socket.try_write(&Refusal::from(full).to_http1());
                        continue;
                    }
                };
                if !socket.has_bytes() {
                    // It may have to make room again before anybody looks at it.
                    link.fall_quiet(terms.door.tick());
                }
                socket.set_nodelay();
                let downstream = Downstream::new(
                    socket,
                    Arc::clone(&link),
                    Arc::clone(&terms.door),
                    terms.header_timeout,
                );
                // Whoever comes after the drain began is not waited for.
                let in_flight = in_flight.filter(|_| !terms.shutdown.is_begun());
                let connection = Connection {
                    downstream,
                    link,
                    verdict,
                    router: terms.router.clone(),
                    shutdown: terms.shutdown.clone(),
                    in_flight: in_flight.cloned(),
                    _place: guest,
                };
                tokio::spawn(connection.serve());
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) if terms.door.make_room() => tokio::task::yield_now().await,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    report::line(format_args!("cannot accept connections, waiting: {error}"));
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The caller went away between its connect and our accept (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// One caller's connection, from its acceptance to its end.
struct Connection {
    downstream: Downstream,
    link: Arc<Link>,
    verdict: Verdict,
    router: Router,
    shutdown: Shutdown,
    /// Held by a connection that the drain waits for.
    in_flight: Option<mpsc::Sender<Infallible>>,
    _place: Guest,
}

impl Connection {
    /// How it ends is the caller's affair; faults of the upstream are reported
    /// where they are found.
    async fn serve(self) {
        let (link, shutdown) = (Arc::clone(&self.link), self.shutdown.clone());
        tokio::select! {
            () = self.receive_and_answer() => {}
            () = link.turned_out() => {}
        }
        if link.ends_the_proxy() {
            shutdown.advance();
        }
    }

    async fn receive_and_answer(mut self) {
        let drains = self.in_flight.is_some();
        let begun = tokio::select! {
            begun = self.downstream.receive() => begun,
            () = self.shutdown.reached(Stage::Draining), if drains => false,
        };
        if begun {
            // On the heap: a connection that never gets here is not to pay for it.
            Box::pin(self.answer_all()).await;
        }
    }

    async fn answer_all(self) {
        let drains = self.in_flight.is_some();
        let (link, router, verdict) = (self.link, self.router, self.verdict);
        let service =
            service_fn(|request| answer(router.clone(), Arc::clone(&link), verdict, request));
        let connection = http1::Builder::new()
            // Heads are timed before they get here.
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            .max_buf_size(CONNECTION_BUFFER)
            .keep_alive(drains)
            .serve_connection(TokioIo::new(self.downstream), service);
        let mut connection = pin!(connection);
        tokio::select! {
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
    link: Arc<Link>,
    verdict: Verdict,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let ends_by_close = request.version() == Version::HTTP_10;
    let ends_connection = request.headers().contains_key(TRANSFER_ENCODING);
    let exchange = link.open_exchange(ends_by_close);
    request.extensions_mut().insert(link);
    let mut response = match verdict {
        Verdict::Welcome => router.call(request.map(Body::new)).await?,
        Verdict::Stranger => Refusal::Stranger.into_response(),
    };
    if ends_connection {
        // `inbound.rs` looks for no head behind a chunked body.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answer::new(body, exchange)))
}

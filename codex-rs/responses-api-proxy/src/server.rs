//! Accepts connections, serves each one, drains them at the end.

use std::convert::Infallible;
use std::io;
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
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower_service::Service;

use crate::answer::Answer;
use crate::downstream::{Downstream, Link};
use crate::inbound::{MAX_HEAD, MAX_HEADERS};
use crate::report;
use crate::shutdown::{Shutdown, Stage};

/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The most hyper reads ahead or holds back for one connection, in bytes: one
/// head of the largest size and some body behind it.
const CONNECTION_BUFFER: usize = MAX_HEAD + 16 * 1024;

/// What [`serve`] needs to know.
pub(crate) struct Terms {
    pub(crate) router: Router,
    pub(crate) shutdown: Shutdown,
    /// How long answers in flight may go on once draining.
    pub(crate) drain_timeout: Duration,
    /// Whether a second `GET /shutdown` must still get in while draining.
    pub(crate) listen_while_draining: bool,
}

/// Serves until shut down; returns how many connections had to be cut.
pub(crate) async fn serve(listener: TcpListener, terms: Terms) -> usize {
    let shutdown = terms.shutdown.clone();
    // Every connection of the serving time holds a sender; the last one's end is
    // the end of the channel. Nothing is ever sent.
    let (in_flight, mut all_done) = mpsc::channel::<Infallible>(1);
    tokio::select! {
        never = accept_all(&listener, &terms, Some(&in_flight)) => match never {},
        () = shutdown.reached(Stage::Draining) => {}
    }
    let connections = in_flight.strong_count() - 1;
    drop(in_flight);
    let listener = terms.listen_while_draining.then_some(listener);
    let late = async {
        match &listener {
            Some(listener) => accept_all(listener, &terms, None).await,
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
    listener: &TcpListener,
    terms: &Terms,
    in_flight: Option<&mpsc::Sender<Infallible>>,
) -> Infallible {
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                failing = false;
                // Whoever comes after the drain began is not waited for.
                let in_flight = in_flight.filter(|_| !terms.shutdown.is_begun());
                let connection = serve_connection(
                    stream,
                    terms.router.clone(),
                    terms.shutdown.clone(),
                    in_flight.cloned(),
                );
                tokio::spawn(connection);
            }
            Err(error) if is_of_one_connection(&error) => {}
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

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    shutdown: Shutdown,
    in_flight: Option<mpsc::Sender<Infallible>>,
) {
    let link = Arc::new(Link::default());
    // A small event must leave at once, not wait for the last one's ACK.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Downstream::new(stream, Arc::clone(&link)));
    let service = service_fn(|request| answer(router.clone(), Arc::clone(&link), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_headers(MAX_HEADERS)
        .max_buf_size(CONNECTION_BUFFER)
        .keep_alive(in_flight.is_some())
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let drains = in_flight.is_some();
    // How it ended is the caller's affair; faults of the upstream are reported
    // where they are found.
    tokio::select! {
        _ended = connection.as_mut() => {}
        () = shutdown.reached(Stage::Draining), if drains => {
            connection.as_mut().graceful_shutdown();
            let _ended = connection.await;
        }
    }
    if link.ends_the_proxy() {
        shutdown.advance();
    }
}

/// One request, one answer, and what ties them to their connection.
async fn answer(
    mut router: Router,
    link: Arc<Link>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let ends_by_close = request.version() == Version::HTTP_10;
    let ends_connection = request.headers().contains_key(TRANSFER_ENCODING);
    let exchange = link.open_exchange(ends_by_close);
    request.extensions_mut().insert(link);
    let mut response = router.call(request.map(Body::new)).await?;
    if ends_connection {
        // `inbound.rs` looks for no head behind a chunked body.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answer::new(body, exchange)))
}

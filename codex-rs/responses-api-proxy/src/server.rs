//! Accepts connections, hands each to a worker, drains them at the end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::callers::{Callers, PeerUser};
use crate::connection::Connection;
use crate::door::{Door, Full};
use crate::downstream::Downstream;
use crate::link::Link;
use crate::listeners::Listeners;
use crate::refusal::Refusal;
use crate::report;
use crate::shutdown::{Shutdown, Stage};
use crate::workers::Workers;

/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for a place when none is free.
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// What [`serve`] needs to know.
pub(crate) struct Terms {
    pub(crate) workers: Workers,
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
                let Some((worker, share)) = terms.workers.next() else {
                    continue;
                };
                // Whoever comes after the drain began is not waited for.
                let in_flight = in_flight.filter(|_| !terms.shutdown.is_begun());
                let connection = Connection {
                    link,
                    verdict,
                    user: PeerUser(user),
                    router: worker.router(),
                    shutdown: terms.shutdown.clone(),
                    in_flight: in_flight.cloned(),
                    _held: (guest, share),
                };
                let (door, header_timeout) = (Arc::clone(&terms.door), terms.header_timeout);
                worker.take_on(socket, move |socket| {
                    let link = Arc::clone(&connection.link);
                    let downstream = Downstream::new(socket, link, door, header_timeout);
                    connection.serve(downstream)
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            // Whoever leaves does so in a turn of its own, perhaps on another thread.
            Err(_) if terms.door.make_room() => tokio::time::sleep(SECOND_LOOK).await,
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

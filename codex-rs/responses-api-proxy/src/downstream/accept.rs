//! Accepts connections, hands each to a worker, drains them at the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use codex_deadline::Deadline;
use codex_secret_memory::return_free_memory;
use tokio::sync::mpsc;

use crate::access::peer_users::{PeerAccess, PeerUser, PeerUsers};
use crate::downstream::accept_error::AcceptError;
use crate::downstream::connection::Connection;
use crate::downstream::connection_limit::{ConnectionLimit, ConnectionPermit, LimitReached};
use crate::downstream::connection_state::ConnectionState;
use crate::downstream::newest_tasks::NewestTasks;
use crate::downstream::rejected::Unanswered;
use crate::downstream::transport::Downstream;
use crate::downstream::workers::Workers;
use crate::lifecycle::idle::idle;
use crate::lifecycle::shutdown::{Shutdown, Stage};
use crate::net::listeners::Listeners;
use crate::net::socket::Socket;
use crate::observe::observer::Observer;
use crate::observe::stderr;
use crate::refusal::Reason;

/// How long to wait before accepting again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// So many connections are accepted in a row; then whoever is served by the same thread has
/// a turn.
const ACCEPTS_PER_TURN: u32 = 8;

/// After how many seconds, each from the last, the memory of many connections that have gone is
/// given back. Their callers are gone at once; their connections to the upstream end bit by bit.
const RETURN_MEMORY_AFTER: [u64; 4] = [1, 3, 12, 60];

/// How long to wait for a slot or a descriptor when none is free.
const RETRY_DELAY: Duration = Duration::from_millis(2);

/// What [`serve`] needs to know.
pub(crate) struct Terms {
    pub(crate) workers: Arc<Workers>,
    pub(crate) shutdown: Shutdown,
    pub(crate) limit: Arc<ConnectionLimit>,
    pub(crate) callers: Arc<PeerUsers>,
    pub(crate) observer: Observer,
    pub(crate) header_timeout: Duration,
    /// How long answers in flight may go on once draining.
    pub(crate) drain_timeout: Duration,
    /// How long there may be nothing to do before the proxy ends by itself.
    pub(crate) idle_exit: Option<Duration>,
    /// Whether a second `GET /shutdown` must still get in while draining.
    pub(crate) listen_while_draining: bool,
}

/// Serves until shut down; returns how many connections had to be cut.
pub(crate) async fn serve(listeners: Listeners, terms: Terms) -> usize {
    let shutdown = terms.shutdown.clone();
    let terms = Arc::new(terms);
    tokio::spawn(return_memory(Arc::clone(&terms.limit)));
    // Every connection of the serving time holds a sender; the last one's end is
    // the end of the channel. Nothing is ever sent.
    let (in_flight, mut all_done) = mpsc::channel::<Infallible>(1);
    loop {
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Draining) => break,
            never = accept_all(&listeners, &terms, Some(&in_flight)) => match never {},
            after = is_idle(&terms) => {
                // Nobody accepts now. Whoever has come in the last moment is served before anything else.
                if listeners.has_waiting() {
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
                stderr::line(format_args!("no request for {after:?} (--idle-exit); ending"));
                shutdown.begin();
                break;
            }
        }
    }
    let connections = in_flight.strong_count() - 1;
    drop(in_flight);
    // Where somebody else keeps the sockets, those who come from here on wait for the next process.
    let listeners = terms.listen_while_draining.then_some(listeners);
    let late = async {
        match &listeners {
            Some(listeners) => accept_all(listeners, &terms, None).await,
            None => std::future::pending().await,
        }
    };
    if connections > 0 {
        stderr::line(format_args!(
            "shutting down; connections with {:?} to finish: {connections}",
            terms.drain_timeout
        ));
    }
    let mut left = 0;
    tokio::select! {
        never = late => match never {},
        _closed = all_done.recv() => {}
        () = shutdown.reached(Stage::Over) => left = all_done.sender_strong_count(),
        () = Deadline::after(terms.drain_timeout) => left = all_done.sender_strong_count(),
    }
    left
}

/// Waits until there has been nothing to do for so long as `--idle-exit` says; for ever without it.
async fn is_idle(terms: &Terms) -> Duration {
    let Some(after) = terms.idle_exit else {
        return std::future::pending().await;
    };
    let now = || {
        let activity = terms.workers.activity()?;
        // A head that has begun to arrive is a request on its way.
        let is_busy = activity.requests > 0 || terms.limit.has_unfinished();
        Some((is_busy, activity.last))
    };
    idle(after, now).await;
    after
}

/// Each time that many connections have gone, for ever.
async fn return_memory(limit: Arc<ConnectionLimit>) {
    loop {
        limit.many_gone().await;
        for seconds in RETURN_MEMORY_AFTER {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            // On a thread of its own: it takes a while, and nobody waits for it. If there is none to
            // be had, there will be the next time; the runtime's own threads would panic then.
            let thread = std::thread::Builder::new().name("trim".to_owned());
            let _ = thread.spawn(return_free_memory);
        }
    }
}

/// Accepts for ever. Running out of descriptors or memory is waited out: the
/// listener must outlive any flood.
async fn accept_all(
    listeners: &Listeners,
    terms: &Arc<Terms>,
    in_flight: Option<&mpsc::Sender<Infallible>>,
) -> Infallible {
    let mut is_failing = false;
    let mut in_a_row = 0;
    // Two, so that callers that are not allowed take no answer from those that are.
    let mut denied = NewestTasks::new(terms.limit.max_rejected());
    let mut rejected = NewestTasks::new(terms.limit.max_rejected());
    loop {
        match listeners.accept().await {
            Ok(socket) => {
                is_failing = false;
                // Now, while the caller is still there to be looked at.
                match terms.callers.authorize(&socket) {
                    PeerAccess::Allowed(user) => {
                        let in_flight = in_flight.cloned();
                        let new = NewConnection::new(Arc::clone(terms), socket, user, in_flight);
                        new.admit_or_reject(&mut rejected);
                    }
                    PeerAccess::Denied(user) => {
                        let unanswered = Unanswered::new(
                            socket,
                            Reason::CallerDenied.into(),
                            user,
                            terms.observer.clone(),
                        );
                        denied.add(unanswered.answer_when_asked(terms.header_timeout));
                    }
                    PeerAccess::Unknown => drop(socket),
                }
                // Not sooner: told to end here, the one that was accepted is somebody's already.
                in_a_row += 1;
                if in_a_row >= ACCEPTS_PER_TURN {
                    in_a_row = 0;
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => {
                let kind = AcceptError::from(&error);
                if kind == AcceptError::OfOneConnection {
                    tokio::task::yield_now().await;
                    continue;
                }
                let has_room = kind == AcceptError::Shortage
                    && (denied.drop_oldest() || rejected.drop_oldest() || terms.limit.evict_one());
                if has_room {
                    // What was evicted ends in a turn of its own, perhaps on another thread.
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
                if !std::mem::replace(&mut is_failing, true) {
                    stderr::line(format_args!("cannot accept connections, waiting: {error}"));
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection whose caller is allowed, before it has a slot.
struct NewConnection {
    terms: Arc<Terms>,
    socket: Socket,
    user: Option<u32>,
    connection_state: Arc<ConnectionState>,
    in_flight: Option<mpsc::Sender<Infallible>>,
}

impl NewConnection {
    fn new(
        terms: Arc<Terms>,
        socket: Socket,
        user: Option<u32>,
        in_flight: Option<mpsc::Sender<Infallible>>,
    ) -> Self {
        let connection_state = Arc::<ConnectionState>::default();
        // Who comes after the drain began is not waited for.
        if in_flight.is_none() {
            connection_state.note_late();
        }
        Self {
            terms,
            socket,
            user,
            connection_state,
            in_flight,
        }
    }

    /// Gives it to a worker if there is a slot for it, and otherwise says so to its
    /// caller.
    fn admit_or_reject(self, rejected: &mut NewestTasks) {
        match self.terms.limit.admit(&self.connection_state, self.user) {
            Ok(permit) => self.hand_over(permit),
            Err(LimitReached::Everywhere) if !rejected.is_full() => rejected.add(self.retry()),
            Err(reached) => {
                let observer = self.terms.observer.clone();
                let unanswered = Unanswered::new(self.socket, reached.into(), self.user, observer);
                rejected.add(unanswered.answer_now());
            }
        }
    }

    /// One may be about to become idle: its caller has the answer already.
    async fn retry(self) {
        let Self {
            terms,
            socket,
            user,
            connection_state,
            in_flight,
        } = self;
        let unanswered = Unanswered::new(
            socket,
            LimitReached::Everywhere.into(),
            user,
            terms.observer.clone(),
        );
        tokio::time::sleep(RETRY_DELAY).await;
        let Ok(permit) = terms.limit.admit(&connection_state, user) else {
            return unanswered.answer_now().await;
        };
        if let Some(socket) = unanswered.take() {
            let new = Self {
                terms,
                socket,
                user,
                connection_state,
                in_flight,
            };
            new.hand_over(permit);
        }
    }

    fn hand_over(self, permit: ConnectionPermit) {
        let (terms, socket, connection_state) = (self.terms, self.socket, self.connection_state);
        if !socket.has_bytes() {
            // It may be evicted before anybody looks at it.
            connection_state.become_idle(permit.tick());
        }
        socket.set_nodelay();
        let Some((worker, counted)) = terms.workers.next() else {
            return;
        };
        let connection = Connection {
            connection_state: Arc::clone(&connection_state),
            user: PeerUser(self.user),
            router: worker.router(),
            shutdown: terms.shutdown.clone(),
            observer: terms.observer.clone(),
            in_flight: self.in_flight,
            counted,
        };
        let (callers, header_timeout) = (Arc::clone(&terms.callers), terms.header_timeout);
        let (user, observer) = (self.user, terms.observer.clone());
        worker.spawn(socket, move |socket| {
            connection.serve(Downstream::new(
                socket,
                connection_state,
                permit,
                callers,
                user,
                observer,
                header_timeout,
            ))
        });
    }
}

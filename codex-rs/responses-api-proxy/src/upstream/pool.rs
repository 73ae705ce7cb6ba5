//! The connections to the upstream, and which of them a request goes by.
//!
//! Each [`Caller`] has connections of its own. One that is multiplexed (HTTP/2) carries as many requests as
//! the server allows; the first one with room is taken, and when none has any, one more is opened. The
//! server's limit is what it says first, so a new connection carries one request until it has spoken.
//! Over HTTP/1.1 each request takes an idle connection, or a new one.
//!
//! A connection in the making belongs to nobody in particular: requests wait for whichever has room
//! first, so that a burst opens as many connections as it needs and no more, and a caller that gives up
//! stops no other. Where one takes long, another is tried every [`TRY_ANOTHER_AFTER`].

mod connect;
mod connections;
mod lease;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_deadline::within;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::access::caller::Caller;
use crate::upstream::error::UpstreamError;

use self::connections::{CallerPool, Connections};
use self::lease::Turn;
use super::connector::CONNECT_TIMEOUT;

pub(crate) use self::connect::{Connect, Pooled};
pub(crate) use self::lease::Lease;

/// How long a connection may take before another is tried: longer than a TLS handshake around the
/// world, about as long as a lost SYN. Also how long a server may take to say what it allows.
const TRY_ANOTHER_AFTER: Duration = Duration::from_secs(1);

/// Multiplexed connections of one caller, on each thread, from where on another is opened only if each of
/// them carries a request: where a server allows few streams there have to be more, and where it allows
/// none more do not help. The default limit of requests in flight fills 110 at a server that allows 100.
const MANY_MULTIPLEXED: usize = 128;

/// How often idle connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

/// The connections of one thread.
pub(crate) struct Pool<C: Connect>(Arc<Shared<C>>);

struct Shared<C: Connect> {
    connector: C,
    /// What connections turned out to be: [`UNKNOWN`], [`SINGLE`] or [`MULTIPLEXED`].
    kind: AtomicU8,
    connections: Mutex<Connections<C>>,
}

const UNKNOWN: u8 = 0;
const SINGLE: u8 = 1;
const MULTIPLEXED: u8 = 2;

/// Kept when there is a connection, or none to be had.
type Promise<C> = oneshot::Sender<Result<Lease<C>, UpstreamError>>;

impl<C: Connect> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callers = self.0.lock().callers.len();
        f.debug_tuple("Pool").field(&callers).finish()
    }
}

impl<C: Connect> Pool<C> {
    /// An empty pool that keeps up to `max_idle` idle connections.
    pub(crate) fn new(connector: C, max_idle: usize) -> Self {
        let kind = match connector.is_multiplexed() {
            None => UNKNOWN,
            Some(false) => SINGLE,
            Some(true) => MULTIPLEXED,
        };
        Self(Arc::new(Shared {
            connector,
            kind: AtomicU8::new(kind),
            connections: Mutex::new(Connections::new(max_idle)),
        }))
    }

    /// A connection for one request of `caller`.
    ///
    /// # Errors
    ///
    /// Why none could be made, or [`UpstreamError::Busy`] if the caller has as many as one may have, and
    /// none has had room in time.
    pub(crate) async fn take(&self, caller: &Caller) -> Result<Lease<C>, UpstreamError> {
        let mut may_follow = true;
        let mut may_yield = true;
        loop {
            let (mut promised, has_begun) = match self.0.choose(caller, may_yield) {
                Turn::Now(lease) => return Ok(lease),
                Turn::Soon => {
                    may_yield = false;
                    tokio::task::yield_now().await;
                    continue;
                }
                Turn::Later {
                    promised,
                    has_begun,
                } => (promised, has_begun),
            };
            let deadline = Instant::now() + CONNECT_TIMEOUT;
            let kept = loop {
                match within(TRY_ANOTHER_AFTER, &mut promised).await {
                    Some(kept) => break kept,
                    None if self.0.is_hopeless(caller) && Instant::now() >= deadline => {
                        return Err(UpstreamError::Busy);
                    }
                    None => {}
                }
            };
            match kept {
                Ok(Ok(lease)) => return Ok(lease),
                // Somebody else's connection failed; it may have been just that one.
                Ok(Err(_)) if may_follow && !has_begun => may_follow = false,
                Ok(Err(fault)) => return Err(fault),
                // A promise is kept or given up with all of the pool.
                Err(_) => return Err(UpstreamError::Busy),
            }
        }
    }
}

impl<C: Connect> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, Connections<C>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_single(&self) -> bool {
        self.kind.load(Ordering::Relaxed) == SINGLE
    }

    /// A place on a connection, or a promise of one.
    fn choose(self: &Arc<Self>, caller: &Caller, may_yield: bool) -> Turn<C> {
        let mut connections = self.lock();
        self.sweep_from_now_on(&mut connections);
        connections.adopt_for(caller);
        if may_yield && connections.of(caller).idle.iter().any(|slot| slot.is_used) {
            return Turn::Soon;
        }
        if let Some(lease) = self.lease(caller, &mut connections) {
            return Turn::Now(lease);
        }
        let (promise, promised) = oneshot::channel();
        let of_caller = connections.of(caller);
        of_caller.waiting.retain(|promise| !promise.is_closed());
        of_caller.waiting.push_back(promise);
        let has_begun = self.open_if_needed(caller, of_caller);
        Turn::Later {
            promised,
            has_begun,
        }
    }

    fn lease(
        self: &Arc<Self>,
        caller: &Caller,
        connections: &mut Connections<C>,
    ) -> Option<Lease<C>> {
        let (id, connection, is_reused) = connections.reserve(caller)?;
        Some(Lease {
            shared: Arc::clone(self),
            caller: caller.clone(),
            id,
            connection,
            is_reused,
            is_spoiled: AtomicBool::new(false),
        })
    }

    /// Tries another connection if those in the making take long; true if the caller can only wait for
    /// room on those it has.
    fn is_hopeless(self: &Arc<Self>, caller: &Caller) -> bool {
        let mut connections = self.lock();
        let of_caller = connections.of(caller);
        !self.open_if_needed(caller, of_caller) && of_caller.connecting == 0
    }

    /// Begins a connection unless those in the making will do for all that wait; true if it did.
    fn open_if_needed(self: &Arc<Self>, caller: &Caller, of_caller: &mut CallerPool<C>) -> bool {
        let expected = if self.is_single() {
            1
        } else {
            C::expected_capacity()
        };
        let unknown = of_caller.multiplexed.iter().filter(|slot| !slot.has_spoken);
        let coming = of_caller.connecting + unknown.count();
        let is_enough = of_caller.waiting.len() <= coming.saturating_mul(expected);
        let takes_long = of_caller.begun.elapsed() >= TRY_ANOTHER_AFTER;
        let count = of_caller.multiplexed.len() + of_caller.connecting;
        let in_use: usize = of_caller.multiplexed.iter().map(|slot| slot.in_use).sum();
        let is_full = !self.is_single() && count >= MANY_MULTIPLEXED && in_use < count;
        if of_caller.waiting.is_empty() || is_full || (is_enough && !takes_long) {
            return false;
        }
        of_caller.connecting += 1;
        of_caller.begun = Instant::now();
        tokio::spawn(Arc::clone(self).open(caller.clone()));
        true
    }

    /// Makes a connection and gives it to whoever waits.
    async fn open(self: Arc<Self>, caller: Caller) {
        match self.connector.connect().await {
            Ok((connection, has_spoken)) => {
                let is_multiplexed = connection.is_multiplexed();
                let kind = if is_multiplexed { MULTIPLEXED } else { SINGLE };
                self.kind.store(kind, Ordering::Relaxed);
                let id = self.add(&caller, connection);
                if is_multiplexed {
                    // Whatever it says then is what holds; if it says nothing, the protocol's default.
                    let _ = within(TRY_ANOTHER_AFTER, has_spoken).await;
                    self.note_that_it_has_spoken(&caller, id);
                }
            }
            Err(fault) => self.fail(&caller, &fault),
        }
    }

    fn add(self: &Arc<Self>, caller: &Caller, connection: C::Connection) -> u64 {
        // Dropped after the lock is given back, which dropping them takes.
        let mut unwanted = Vec::new();
        let mut connections = self.lock();
        let id = connections.next_id;
        connections.next_id += 1;
        connections.of(caller).connecting -= 1;
        connections.put(caller, id, connection, false);
        self.serve_waiting(caller, &mut connections, &mut unwanted);
        id
    }

    fn note_that_it_has_spoken(self: &Arc<Self>, caller: &Caller, id: u64) {
        let mut unwanted = Vec::new();
        let mut connections = self.lock();
        let slots = &mut connections.of(caller).multiplexed;
        if let Some(slot) = slots.iter_mut().find(|slot| slot.id == id) {
            slot.has_spoken = true;
        }
        self.serve_waiting(caller, &mut connections, &mut unwanted);
    }

    /// Tells as many as the connection would have served that there is none.
    fn fail(self: &Arc<Self>, caller: &Caller, fault: &UpstreamError) {
        let mut unwanted = Vec::new();
        let mut connections = self.lock();
        let of_caller = connections.of(caller);
        of_caller.connecting -= 1;
        let served = if self.is_single() {
            1
        } else {
            C::expected_capacity()
        };
        of_caller.waiting.retain(|promise| !promise.is_closed());
        let served = served.min(of_caller.waiting.len());
        for promise in of_caller.waiting.drain(..served) {
            // Whoever has given up since needs no answer.
            let _ = promise.send(Err(fault.clone()));
        }
        self.serve_waiting(caller, &mut connections, &mut unwanted);
    }

    fn give_back(self: &Arc<Self>, lease: &Lease<C>) {
        let mut unwanted = Vec::new();
        let mut connections = self.lock();
        let is_open = lease.connection.is_open();
        if !lease.connection.is_multiplexed() {
            if is_open && !lease.is_spoiled.load(Ordering::Relaxed) {
                connections.put(&lease.caller, lease.id, lease.connection.clone(), true);
            }
        } else {
            let slots = &mut connections.of(&lease.caller).multiplexed;
            if let Some(at) = slots.iter().position(|slot| slot.id == lease.id)
                && let Some(slot) = slots.get_mut(at)
            {
                slot.in_use -= 1;
                slot.idle_since = Instant::now();
                if slot.in_use == 0 && !is_open {
                    slots.remove(at);
                }
            }
        }
        self.serve_waiting(&lease.caller, &mut connections, &mut unwanted);
    }

    /// Gives whoever waits what room there is, and opens more if that does not do. Leases that nobody
    /// wanted any more are put into `unwanted`.
    fn serve_waiting(
        self: &Arc<Self>,
        caller: &Caller,
        connections: &mut Connections<C>,
        unwanted: &mut Vec<Lease<C>>,
    ) {
        while let Some(promise) = connections.of(caller).waiting.pop_front() {
            if promise.is_closed() {
                continue;
            }
            let Some(lease) = self.lease(caller, connections) else {
                let of_caller = connections.of(caller);
                of_caller.waiting.push_front(promise);
                while self.open_if_needed(caller, of_caller) {}
                return;
            };
            if let Err(Ok(lease)) = promise.send(Ok(lease)) {
                unwanted.push(lease);
            }
        }
    }

    /// Closes what has been idle for long, as long as there is something to close.
    fn sweep_from_now_on(self: &Arc<Self>, connections: &mut Connections<C>) {
        if std::mem::replace(&mut connections.is_swept, true) {
            return;
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(pool) = pool.upgrade() else {
                    return;
                };
                let mut connections = pool.lock();
                connections.sweep();
                if connections.callers.is_empty() {
                    connections.is_swept = false;
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;

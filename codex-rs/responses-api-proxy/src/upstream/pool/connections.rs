//! Which connections to the upstream there are, whose, and what is free of them. Pure bookkeeping: whoever
//! holds the lock of the pool does it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Connect, Pooled, Promise};
use crate::access::caller::Caller;

/// A connection that nothing uses is kept this long: an agent's tools may take minutes between two
/// requests, and the next one is spared a TLS handshake.
pub(super) const KEPT_IDLE: Duration = Duration::from_secs(240);

/// All connections of a thread.
pub(super) struct Connections<C: Connect> {
    pub(super) callers: HashMap<Caller, CallerPool<C>>,
    /// Numbers connections.
    pub(super) next_id: u64,
    /// How many connections that are not multiplexed are idle, and may be.
    pub(super) idle: usize,
    max_idle: usize,
    /// Whether somebody looks through idle connections.
    pub(super) is_swept: bool,
}

/// The connections of one caller.
pub(super) struct CallerPool<C: Connect> {
    /// Multiplexed ones; in use or not.
    pub(super) multiplexed: Vec<Slot<C::Connection>>,
    /// Idle ones of the other kind, the one used last at the end.
    pub(super) idle: Vec<Slot<C::Connection>>,
    /// How many connections are being made, and when the last one was begun.
    pub(super) connecting: usize,
    pub(super) begun: Instant,
    pub(super) waiting: VecDeque<Promise<C>>,
}

/// One connection.
pub(super) struct Slot<T> {
    pub(super) id: u64,
    pub(super) connection: T,
    /// The server has said what it allows.
    pub(super) has_spoken: bool,
    pub(super) in_use: usize,
    /// It has carried a request.
    pub(super) is_used: bool,
    pub(super) idle_since: Instant,
}

impl<C: Connect> Connections<C> {
    pub(super) fn new(max_idle: usize) -> Self {
        Self {
            callers: HashMap::new(),
            next_id: 0,
            idle: 0,
            max_idle,
            is_swept: false,
        }
    }

    pub(super) fn of(&mut self, caller: &Caller) -> &mut CallerPool<C> {
        self.callers
            .entry(caller.clone())
            .or_insert_with(CallerPool::new)
    }

    /// A place on a connection of the caller that has room, and whether it has carried a request.
    pub(super) fn reserve(&mut self, caller: &Caller) -> Option<(u64, C::Connection, bool)> {
        let of_caller = self.callers.get_mut(caller)?;
        of_caller
            .multiplexed
            .retain(|slot| slot.in_use > 0 || slot.connection.is_open());
        let roomy = of_caller
            .multiplexed
            .iter_mut()
            .find(|slot| slot.has_room());
        if let Some(slot) = roomy {
            slot.in_use += 1;
            let is_used = std::mem::replace(&mut slot.is_used, true);
            return Some((slot.id, slot.connection.clone(), is_used));
        }
        // The one used last is the least likely to be closed by the server just now.
        let before = of_caller.idle.len();
        of_caller.idle.retain(|slot| slot.connection.is_open());
        let ready = of_caller
            .idle
            .iter()
            .rposition(|slot| !slot.is_used || slot.connection.is_ready());
        let slot = ready.map(|at| of_caller.idle.remove(at));
        self.idle -= before - of_caller.idle.len();
        slot.map(|slot| (slot.id, slot.connection, slot.is_used))
    }

    pub(super) fn put(
        &mut self,
        caller: &Caller,
        id: u64,
        connection: C::Connection,
        is_used: bool,
    ) {
        let is_multiplexed = connection.is_multiplexed();
        let slot = Slot {
            id,
            connection,
            has_spoken: false,
            in_use: 0,
            is_used,
            idle_since: Instant::now(),
        };
        if is_multiplexed {
            self.of(caller).multiplexed.push(slot);
        } else {
            self.of(caller).idle.push(slot);
            self.idle += 1;
            self.keep_to_the_limit();
        }
    }

    /// Where there are too many idle connections, the oldest of the caller that has most is closed: nobody
    /// loses theirs to a crowd of somebody else's.
    fn keep_to_the_limit(&mut self) {
        if self.idle > self.max_idle {
            let largest = self.callers.values_mut().max_by_key(|of| of.idle.len());
            if let Some(largest) = largest.filter(|of| !of.idle.is_empty()) {
                largest.idle.remove(0);
                self.idle -= 1;
            }
        }
    }

    /// An caller that has no connection takes over the one that the proxy made for whoever comes first.
    pub(super) fn adopt_for(&mut self, caller: &Caller) {
        let has_none = self
            .callers
            .get(caller)
            .is_none_or(|of| of.multiplexed.is_empty() && of.idle.is_empty());
        if has_none && let Some(mut ours) = self.callers.remove(&Caller::proxy()) {
            let of_caller = self.of(caller);
            let unused = |slot: &mut Slot<C::Connection>| slot.in_use == 0 && slot.has_spoken;
            of_caller
                .multiplexed
                .extend(ours.multiplexed.extract_if(.., unused));
            of_caller.idle.append(&mut ours.idle);
            if ours.connecting > 0 || !ours.multiplexed.is_empty() || !ours.waiting.is_empty() {
                self.callers.insert(Caller::proxy(), ours);
            }
        }
    }

    pub(super) fn sweep(&mut self) {
        let mut idle = 0;
        self.callers.retain(|_, of| {
            let is_kept = |slot: &Slot<C::Connection>| {
                slot.in_use > 0
                    || (slot.connection.is_open() && slot.idle_since.elapsed() < KEPT_IDLE)
            };
            of.multiplexed.retain(is_kept);
            of.idle.retain(is_kept);
            of.waiting.retain(|promise| !promise.is_closed());
            idle += of.idle.len();
            of.connecting > 0
                || !of.multiplexed.is_empty()
                || !of.idle.is_empty()
                || !of.waiting.is_empty()
        });
        self.idle = idle;
    }
}

impl<C: Connect> CallerPool<C> {
    pub(super) fn new() -> Self {
        Self {
            multiplexed: Vec::new(),
            idle: Vec::new(),
            connecting: 0,
            begun: Instant::now(),
            waiting: VecDeque::new(),
        }
    }
}

impl<T: Pooled> Slot<T> {
    pub(super) fn has_room(&self) -> bool {
        let capacity = if self.has_spoken {
            self.connection.capacity()
        } else {
            1
        };
        self.in_use < capacity && self.connection.is_open()
    }
}

//! How many connections there may be at once, and which one is evicted for a new one.
//!
//! A connection is *busy* while one of its requests is being answered, or has come
//! and was not looked at yet; it is *idle* otherwise: silent, between requests, or
//! sending a head slowly. A flood consists of idle ones or of busy ones, and it is some
//! user's: what one user does must not lock another one out.
//!
//! - One user has at most half of the slots, unless told otherwise. Beyond that, the one
//!   of its connections that has been idle for longest is evicted for the new one; when
//!   all are busy, the new connection is rejected with a 429.
//! - When all slots are taken, an idle connection of the user who has most of them is
//!   evicted, never one of another user who has no more than the new connection's. When
//!   there is none, the new connection is rejected with a 503.
//! - The last eighth of the slots is for users who have few, so that two or three
//!   users with their halves do not lock a further one out.
//!
//! Where users are not told apart, all are one user without a limit of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::downstream::connection_state::ConnectionState;
use crate::refusal::{Reason, Refusal};

/// How many bytes of unfinished heads are buffered in all, before the connections with most
/// of them are closed.
const MAX_UNFINISHED: usize = 4 * 1024 * 1024;

/// What a user may have of that in any case, in bytes.
const UNFINISHED_OF_ONE: usize = MAX_UNFINISHED / 8;

/// Descriptors that are not for callers: standard streams, the runtime's, the
/// resolver's, files.
const RESERVED_DESCRIPTORS: u64 = 24;

/// The most connections of a kind that are being rejected at once.
const MAX_REJECTED: u64 = 64;

/// From so many connections on it matters how much memory they leave behind.
const MANY_CONNECTIONS: usize = 64;

/// Counts the connections, and says which may stay.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    slots: usize,
    /// Slots for the connections of one user, if somebody has set it.
    slots_per_user: Option<usize>,
    max_rejected: usize,
    admitted: Mutex<Admitted>,
    /// Numbers the permits, and orders when connections became idle.
    ticks: AtomicU64,
    unfinished: AtomicUsize,
    /// Notified when three quarters of many connections have gone.
    many_gone: Notify,
}

#[derive(Debug, Default)]
struct Admitted {
    /// How many connections all users have.
    count: usize,
    /// How many they had at most since many have gone.
    most: usize,
    evicted: u64,
    /// By user; `None` for all that cannot be told apart.
    users: HashMap<Option<u32>, PerUser>,
}

#[derive(Debug, Default)]
struct PerUser {
    connections: HashMap<u64, Arc<ConnectionState>>,
    /// Bytes of unfinished heads.
    unfinished: Arc<AtomicUsize>,
}

/// A connection's slot; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    number: u64,
    user: Option<u32>,
    /// How many bytes of an unfinished head this connection buffers.
    buffered: usize,
    unfinished_of_user: Arc<AtomicUsize>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.buffer(0);
        let mut admitted = self.limit.lock();
        admitted.remove(self.user, self.number);
        if admitted.most >= MANY_CONNECTIONS && admitted.count <= admitted.most / 4 {
            admitted.most = admitted.count;
            self.limit.many_gone.notify_one();
        }
    }
}

impl ConnectionPermit {
    /// The next moment of the clock by which connections are idle.
    pub(crate) fn tick(&self) -> u64 {
        self.limit.tick()
    }

    /// Notes that this connection now buffers `now` bytes of an unfinished head; true if that is
    /// more than before and too much: all connections together buffer too much, and this user's
    /// more than a user may in any case.
    pub(crate) fn buffer(&mut self, now: usize) -> bool {
        let before = std::mem::replace(&mut self.buffered, now);
        let (all, own) = (&self.limit.unfinished, &self.unfinished_of_user);
        if now > before {
            let more = now - before;
            let all = all.fetch_add(more, Ordering::Relaxed) + more;
            let own = own.fetch_add(more, Ordering::Relaxed) + more;
            all > MAX_UNFINISHED && own > UNFINISHED_OF_ONE
        } else {
            if now < before {
                all.fetch_sub(before - now, Ordering::Relaxed);
                own.fetch_sub(before - now, Ordering::Relaxed);
            }
            false
        }
    }
}

/// Why a connection gets no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// All slots are taken, and no connection can be evicted for this one.
    Everywhere,
    /// Its user has as many as one may have.
    ForThisUser,
}

impl From<LimitReached> for Refusal {
    fn from(reached: LimitReached) -> Self {
        Self::from(match reached {
            LimitReached::Everywhere => Reason::TooManyConnections,
            LimitReached::ForThisUser => Reason::TooManyOfOneUser,
        })
    }
}

impl ConnectionLimit {
    /// At most `most` connections, or as many as `descriptors` allow: each may
    /// need one more towards the upstream. Without `most_per_user` a user may have
    /// half of them.
    pub(crate) fn new(most: usize, most_per_user: Option<usize>, descriptors: u64) -> Self {
        let max_rejected = (descriptors / 16).clamp(1, MAX_REJECTED);
        let possible = descriptors.saturating_sub(RESERVED_DESCRIPTORS + 2 * max_rejected) / 2;
        let possible = usize::try_from(possible).unwrap_or(usize::MAX);
        Self {
            slots: most.min(possible).max(1),
            slots_per_user: most_per_user,
            max_rejected: usize::try_from(max_rejected).unwrap_or(1),
            admitted: Mutex::new(Admitted::default()),
            ticks: AtomicU64::new(1),
            unfinished: AtomicUsize::new(0),
            many_gone: Notify::new(),
        }
    }

    /// Waits until three quarters of many connections have gone.
    pub(crate) async fn many_gone(&self) {
        self.many_gone.notified().await;
    }

    /// How many there are, how many there can be, and how many were evicted so far.
    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        let admitted = self.lock();
        (admitted.count, self.slots, admitted.evicted)
    }

    /// Whether a head has begun to arrive, and not ended.
    pub(crate) fn has_unfinished(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) > 0
    }

    /// How many connections of a kind may be being rejected at once.
    pub(crate) fn max_rejected(&self) -> usize {
        self.max_rejected
    }

    /// Gives a connection of `user`, if users are told apart, a slot.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn admit(
        self: &Arc<Self>,
        connection_state: &Arc<ConnectionState>,
        user: Option<u32>,
    ) -> Result<ConnectionPermit, LimitReached> {
        let number = self.tick();
        let mut admitted = self.lock();
        if !self.evict_for_own_user(&mut admitted, user)? && !self.has_slot_for(&admitted, user) {
            let count = admitted.count_of(user);
            if !admitted.evict_from_the_largest(count, user) {
                return Err(LimitReached::Everywhere);
            }
        }
        let unfinished_of_user = admitted.add(user, number, connection_state);
        Ok(ConnectionPermit {
            limit: Arc::clone(self),
            number,
            user,
            buffered: 0,
            unfinished_of_user,
        })
    }

    /// True if a connection of this user was evicted for another one of its own.
    fn evict_for_own_user(
        &self,
        admitted: &mut Admitted,
        user: Option<u32>,
    ) -> Result<bool, LimitReached> {
        if user.is_none() {
            return Ok(false);
        }
        let count = admitted.count_of(user);
        match self.slots_per_user {
            Some(most) if count >= most => Err(LimitReached::ForThisUser),
            None if count >= (self.slots / 2).max(1) => {
                if admitted.evict_one_of(user) {
                    Ok(true)
                } else {
                    Err(LimitReached::ForThisUser)
                }
            }
            _ => Ok(false),
        }
    }

    fn has_slot_for(&self, admitted: &Admitted, user: Option<u32>) -> bool {
        let has_few = user.is_none() || admitted.count_of(user) < self.slots / 16;
        let reserved = if has_few { 0 } else { self.slots / 8 };
        admitted.count + reserved < self.slots
    }

    /// Evicts, of the user with the most connections among those with an idle one, the
    /// one that has been idle for longest; false if all are busy.
    pub(crate) fn evict_one(&self) -> bool {
        self.lock().evict_from_the_largest(0, None)
    }

    /// The next moment of the clock by which connections are idle.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Admitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    fn count_of(&self, user: Option<u32>) -> usize {
        self.users
            .get(&user)
            .map_or(0, |of_user| of_user.connections.len())
    }

    fn add(
        &mut self,
        user: Option<u32>,
        number: u64,
        connection_state: &Arc<ConnectionState>,
    ) -> Arc<AtomicUsize> {
        let of_user = self.users.entry(user).or_default();
        of_user
            .connections
            .insert(number, Arc::clone(connection_state));
        self.count += 1;
        self.most = self.most.max(self.count);
        Arc::clone(&of_user.unfinished)
    }

    /// Does nothing if it was removed before.
    fn remove(&mut self, user: Option<u32>, number: u64) {
        let Some(of_user) = self.users.get_mut(&user) else {
            return;
        };
        if of_user.connections.remove(&number).is_some() {
            self.count -= 1;
        }
        if of_user.connections.is_empty() {
            self.users.remove(&user);
        }
    }

    /// Evicts the connection of `user` that has been idle for longest; false if all are
    /// busy.
    fn evict_one_of(&mut self, user: Option<u32>) -> bool {
        loop {
            let Some(of_user) = self.users.get(&user) else {
                return false;
            };
            let longest_idle = of_user
                .connections
                .iter()
                .filter_map(|(&number, connection_state)| {
                    Some((connection_state.idle_since()?, number, connection_state))
                })
                .min_by_key(|&(since, number, _)| (since, number));
            let Some((since, number, connection_state)) = longest_idle else {
                return false;
            };
            // Unless a request has begun on it meanwhile, which keeps its slot.
            if connection_state.evict(since) {
                self.remove(user, number);
                self.evicted += 1;
                return true;
            }
        }
    }

    /// Evicts a connection of whoever has most of them and one that is idle, among the
    /// users that have more than `than`, and `own`.
    fn evict_from_the_largest(&mut self, than: usize, own: Option<u32>) -> bool {
        let mut users: Vec<(usize, Option<u32>)> = self
            .users
            .iter()
            .map(|(&user, of_user)| (of_user.connections.len(), user))
            .filter(|&(count, user)| count > than || user == own)
            .collect();
        users.sort_unstable_by(|a, b| b.cmp(a));
        users.into_iter().any(|(_, user)| self.evict_one_of(user))
    }
}

#[cfg(test)]
mod tests;

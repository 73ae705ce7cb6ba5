//! How many connections there may be at once, and which one is evicted for a new one.
//!
//! A connection is *busy* while one of its requests is being answered, or has come
//! and was not looked at yet; it is *idle* otherwise: silent, between requests, or
//! sending a head slowly. A flood consists of idle ones or of busy ones, and it is some
//! user's: what one user does must not keep another one out.
//!
//! - One user has at most half of the slots, unless told otherwise. Beyond that, the one
//!   of its connections that has been idle for longest is evicted for the new one; when
//!   all are busy, the new connection is rejected with a 429.
//! - When all slots are taken, an idle connection of the user who has most of them is
//!   evicted, never one of another user who has no more than the new connection's. When
//!   there is none, the new connection is rejected with a 503.
//! - The last eighth of the slots is for users who have few, so that two or three
//!   users with their halves do not keep a further one out.
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

/// So many connections are a crowd.
const CROWD: usize = 64;

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
    /// Told when a crowd has gone.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Admitted {
    /// How many connections all users have.
    count: usize,
    /// How many they had at most since the last crowd has gone.
    most: usize,
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
    unfinished_of_user: Arc<AtomicUsize>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut admitted = self.limit.lock();
        admitted.remove(self.user, self.number);
        if admitted.most >= CROWD && admitted.count <= admitted.most / 4 {
            admitted.most = admitted.count;
            self.limit.emptied.notify_one();
        }
    }
}

impl ConnectionPermit {
    /// The next moment of the only clock that counts here.
    pub(crate) fn tick(&self) -> u64 {
        self.limit.tick()
    }

    /// Notes that this connection now buffers `now` bytes of an unfinished head instead of
    /// `before`; true if that is too much: all connections together buffer too much, and
    /// this user's more than a user may in any case.
    pub(crate) fn buffer(&self, before: usize, now: usize) -> bool {
        let (all, own) = (&self.limit.unfinished, &self.unfinished_of_user);
        if now >= before {
            let more = now - before;
            let all = all.fetch_add(more, Ordering::Relaxed) + more;
            let own = own.fetch_add(more, Ordering::Relaxed) + more;
            all > MAX_UNFINISHED && own > UNFINISHED_OF_ONE
        } else {
            all.fetch_sub(before - now, Ordering::Relaxed);
            own.fetch_sub(before - now, Ordering::Relaxed);
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
            emptied: Notify::new(),
        }
    }

    /// Waits until a crowd has gone: three quarters of many connections.
    pub(crate) async fn emptied(&self) {
        self.emptied.notified().await;
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
        let kept_free = if has_few { 0 } else { self.slots / 8 };
        admitted.count + kept_free < self.slots
    }

    /// Evicts, of the user with the most connections among those with an idle one, the
    /// one that has been idle for longest; false if all are busy.
    pub(crate) fn evict_one(&self) -> bool {
        self.lock().evict_from_the_largest(0, None)
    }

    /// The next moment of the only clock that counts here.
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
mod tests {
    use super::*;

    fn limit(slots: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit::new(slots, None, u64::MAX))
    }

    fn arrive_as(
        limit: &Arc<ConnectionLimit>,
        user: Option<u32>,
    ) -> (Arc<ConnectionState>, Result<ConnectionPermit, LimitReached>) {
        let connection_state = Arc::new(ConnectionState::default());
        let permit = limit.admit(&connection_state, user);
        connection_state.become_idle(limit.tick());
        (connection_state, permit)
    }

    fn arrive(
        limit: &Arc<ConnectionLimit>,
    ) -> (Arc<ConnectionState>, Result<ConnectionPermit, LimitReached>) {
        arrive_as(limit, None)
    }

    /// Connections that stay busy, as many of `wanted` as get a slot.
    fn busy(limit: &Arc<ConnectionLimit>, user: u32, wanted: usize) -> Vec<ConnectionPermit> {
        (0..wanted)
            .map_while(|_| {
                limit
                    .admit(&Arc::new(ConnectionState::default()), Some(user))
                    .ok()
            })
            .collect()
    }

    #[test]
    fn the_one_that_was_idle_for_longest_is_evicted() {
        let limit = limit(2);
        let (first, _permit) = arrive(&limit);
        let (second, _permit) = arrive(&limit);
        assert!(first.become_busy());
        first.become_idle(limit.tick());
        let (third, permit) = arrive(&limit);
        assert!(permit.is_ok());
        assert!(second.is_evicted());
        assert!(
            !second.become_busy(),
            "a request began on a slot that is gone"
        );
        assert!(!first.is_evicted() && !third.is_evicted());
    }

    #[test]
    fn one_that_was_not_looked_at_yet_is_not_evicted() {
        let limit = limit(1);
        let fresh = Arc::new(ConnectionState::default());
        let _permit = limit.admit(&fresh, None).unwrap();
        assert_eq!(arrive(&limit).1.unwrap_err(), LimitReached::Everywhere);
        fresh.become_idle(limit.tick());
        assert!(arrive(&limit).1.is_ok());
    }

    #[test]
    fn busy_ones_stay_and_the_new_connection_is_rejected() {
        let limit = limit(1);
        let (busy, permit) = arrive(&limit);
        assert!(busy.become_busy());
        assert!(arrive(&limit).1.is_err());
        assert!(!limit.evict_one());
        drop(permit);
        assert!(arrive(&limit).1.is_ok());
    }

    #[test]
    fn a_limit_that_was_set_is_kept_and_a_slot_is_given_back_once() {
        let limit = Arc::new(ConnectionLimit::new(10, Some(2), u64::MAX));
        let come = |user| arrive_as(&limit, Some(user)).1;
        let (first, second) = (come(1), come(1));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(come(1).unwrap_err(), LimitReached::ForThisUser);
        assert!(come(2).is_ok());
        drop(first);
        assert!(come(1).is_ok());
    }

    #[test]
    fn busy_connections_of_one_user_leave_half_of_the_slots() {
        let limit = limit(64);
        let flood = busy(&limit, 1, 100);
        assert_eq!(flood.len(), 32);
        let own = arrive_as(&limit, Some(1)).1;
        assert_eq!(own.unwrap_err(), LimitReached::ForThisUser);
        assert_eq!(busy(&limit, 2, 20).len(), 20);
    }

    #[test]
    fn users_with_their_halves_do_not_keep_a_further_one_out() {
        let limit = limit(64);
        let (first, second) = (busy(&limit, 1, 100), busy(&limit, 2, 100));
        assert_eq!(first.len() + second.len(), 56);
        let late = busy(&limit, 3, 100);
        assert_eq!(late.len(), 4);
        assert_eq!(busy(&limit, 4, 100).len(), 4);
        drop(second);
        assert!(arrive_as(&limit, Some(3)).1.is_ok());
    }

    #[test]
    fn a_user_beyond_its_half_evicts_its_own() {
        let limit = limit(8);
        let (kept, _permit) = arrive_as(&limit, Some(2));
        let mut flood: Vec<_> = (0..4).map(|_| arrive_as(&limit, Some(1))).collect();
        let fifth = arrive_as(&limit, Some(1));
        assert!(fifth.1.is_ok());
        assert!(flood.remove(0).0.is_evicted());
        assert!(!kept.is_evicted());
    }

    #[test]
    fn a_connection_of_the_user_who_has_most_is_evicted() {
        let limit = limit(6);
        let (kept, _permit) = arrive_as(&limit, Some(2));
        let many: Vec<_> = (0..3).map(|_| arrive_as(&limit, Some(1))).collect();
        let _others = [arrive_as(&limit, Some(3)), arrive_as(&limit, Some(4))];
        let (own, _permit) = arrive_as(&limit, Some(5));
        assert!(many[0].0.is_evicted());
        assert!(many[1].0.become_busy() && many[2].0.become_busy());
        // Who has as many or more does not evict another.
        let (_next, permit) = arrive_as(&limit, Some(5));
        assert!(permit.is_ok() && own.is_evicted());
        assert!(!kept.is_evicted());
    }

    #[test]
    fn descriptors_are_a_limit_too() {
        assert_eq!(ConnectionLimit::new(1000, None, 64).slots, 16);
        assert_eq!(ConnectionLimit::new(1000, None, 10).slots, 1);
        assert_eq!(ConnectionLimit::new(1000, None, u64::MAX).slots, 1000);
    }

    #[test]
    fn unfinished_heads_are_counted_together_and_by_user() {
        let limit = limit(8);
        let one = arrive_as(&limit, Some(1)).1.unwrap();
        let other = arrive_as(&limit, Some(2)).1.unwrap();
        assert!(!one.buffer(0, MAX_UNFINISHED));
        assert!(one.buffer(0, 1));
        assert!(!other.buffer(0, UNFINISHED_OF_ONE));
        assert!(other.buffer(0, 1));
        assert!(!one.buffer(MAX_UNFINISHED, 0));
        assert!(!other.buffer(1, 100));
    }
}

//! How many may be inside at once, and who has to leave when it is full.
//!
//! A connection is *busy* while one of its requests is being answered, or has come
//! and was not looked at yet; it is *quiet* otherwise: silent, between requests, or
//! sending a head slowly. A flood consists of quiet ones or of busy ones, and it is some
//! user's: what one user does must not keep another one out.
//!
//! - One user has at most half of the places, unless told otherwise. Beyond that, of its
//!   connections the one that has been quiet for longest makes room for the new one; when
//!   all are busy, the newcomer is sent away with a 429.
//! - When all places are taken, a quiet connection of the user who has most of them makes
//!   room, never one of another user who has no more than the newcomer's. When there is
//!   none, the newcomer is sent away with a 503.
//! - The last eighth of the places is for users who have few, so that two or three
//!   users with their halves do not keep a further one out.
//!
//! Where users are not told apart, all are one user without a limit of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::downstream::connection_state::Link;

/// How many bytes of unfinished heads are kept in all, before those who keep most are
/// sent away.
const MAX_UNFINISHED: usize = 4 * 1024 * 1024;

/// What a user may keep of that in any case, in bytes.
const UNFINISHED_OF_ONE: usize = MAX_UNFINISHED / 8;

/// Descriptors that are not for callers: standard streams, the runtime's, the
/// resolver's, files.
const RESERVED_DESCRIPTORS: u64 = 24;

/// The most connections of a kind that are told that there is no place for them, at once.
const MOST_TURNED_AWAY: u64 = 64;

/// So many connections are a crowd.
const CROWD: usize = 64;

/// All connections inside.
#[derive(Debug)]
pub(crate) struct Door {
    room: usize,
    /// Room for the connections of one user, if somebody has set it.
    room_per_user: Option<usize>,
    turned_away: usize,
    inside: Mutex<Inside>,
    /// Gives numbers to guests, and an order to when they fell quiet.
    ticks: AtomicU64,
    unfinished: AtomicUsize,
    /// Told when a crowd has gone.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    /// How many connections all users have.
    count: usize,
    /// How many they had at most since the last crowd has gone.
    most: usize,
    /// By user; `None` for all that cannot be told apart.
    users: HashMap<Option<u32>, OfUser>,
}

#[derive(Debug, Default)]
struct OfUser {
    connections: HashMap<u64, Arc<Link>>,
    /// Bytes of unfinished heads.
    unfinished: Arc<AtomicUsize>,
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    door: Arc<Door>,
    number: u64,
    user: Option<u32>,
    unfinished_of_user: Arc<AtomicUsize>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.door.lock();
        inside.remove(self.user, self.number);
        if inside.most >= CROWD && inside.count <= inside.most / 4 {
            inside.most = inside.count;
            self.door.emptied.notify_one();
        }
    }
}

impl Guest {
    /// The next moment of the only clock that counts here.
    pub(crate) fn tick(&self) -> u64 {
        self.door.tick()
    }

    /// Notes that this connection now keeps `now` bytes of an unfinished head instead of
    /// `before`; true if that is too much: all connections together keep too much, and
    /// this user's more than a user may in any case.
    pub(crate) fn keep(&self, before: usize, now: usize) -> bool {
        let (all, own) = (&self.door.unfinished, &self.unfinished_of_user);
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

/// Why a connection gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All places are taken, and no connection can make room for this one.
    Everywhere,
    /// Its user has as many as one may have.
    ForThisUser,
}

impl Door {
    /// Room for `most` connections, or for as many as `descriptors` allow: each may
    /// need one more towards the upstream. Without `most_per_user` a user may have
    /// half of the room.
    pub(crate) fn new(most: usize, most_per_user: Option<usize>, descriptors: u64) -> Self {
        let turned_away = (descriptors / 16).clamp(1, MOST_TURNED_AWAY);
        let possible = descriptors.saturating_sub(RESERVED_DESCRIPTORS + 2 * turned_away) / 2;
        let possible = usize::try_from(possible).unwrap_or(usize::MAX);
        Self {
            room: most.min(possible).max(1),
            room_per_user: most_per_user,
            turned_away: usize::try_from(turned_away).unwrap_or(1),
            inside: Mutex::new(Inside::default()),
            ticks: AtomicU64::new(1),
            unfinished: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }

    /// Waits until a crowd has gone: three quarters of many connections.
    pub(crate) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    /// How many connections of a kind may be told at once that there is no place.
    pub(crate) fn turned_away(&self) -> usize {
        self.turned_away
    }

    /// Gives a connection of `user`, if users are told apart, a place.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn admit(
        self: &Arc<Self>,
        link: &Arc<Link>,
        user: Option<u32>,
    ) -> Result<Guest, Full> {
        let number = self.tick();
        let mut inside = self.lock();
        if !self.make_room_of_user(&mut inside, user)? && !self.has_room_for(&inside, user) {
            let count = inside.count_of(user);
            if !inside.turn_out_of_the_largest(count, user) {
                return Err(Full::Everywhere);
            }
        }
        let unfinished_of_user = inside.add(user, number, link);
        Ok(Guest {
            door: Arc::clone(self),
            number,
            user,
            unfinished_of_user,
        })
    }

    /// True if a connection of this user has just made room for another one of its own.
    fn make_room_of_user(&self, inside: &mut Inside, user: Option<u32>) -> Result<bool, Full> {
        if user.is_none() {
            return Ok(false);
        }
        let count = inside.count_of(user);
        match self.room_per_user {
            Some(most) if count >= most => Err(Full::ForThisUser),
            None if count >= (self.room / 2).max(1) => {
                if inside.turn_out_one_of(user) {
                    Ok(true)
                } else {
                    Err(Full::ForThisUser)
                }
            }
            _ => Ok(false),
        }
    }

    fn has_room_for(&self, inside: &Inside, user: Option<u32>) -> bool {
        let has_few = user.is_none() || inside.count_of(user) < self.room / 16;
        let kept_free = if has_few { 0 } else { self.room / 8 };
        inside.count + kept_free < self.room
    }

    /// Ends, of the user with the most connections among those with a quiet one, the
    /// one that has been quiet for longest; false if all are busy.
    pub(crate) fn make_room(&self) -> bool {
        self.lock().turn_out_of_the_largest(0, None)
    }

    /// The next moment of the only clock that counts here.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn count_of(&self, user: Option<u32>) -> usize {
        self.users
            .get(&user)
            .map_or(0, |of_user| of_user.connections.len())
    }

    fn add(&mut self, user: Option<u32>, number: u64, link: &Arc<Link>) -> Arc<AtomicUsize> {
        let of_user = self.users.entry(user).or_default();
        of_user.connections.insert(number, Arc::clone(link));
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

    /// Ends the connection of `user` that has been quiet for longest; false if all are
    /// busy.
    fn turn_out_one_of(&mut self, user: Option<u32>) -> bool {
        loop {
            let Some(of_user) = self.users.get(&user) else {
                return false;
            };
            let quietest = of_user
                .connections
                .iter()
                .filter_map(|(&number, link)| Some((link.quiet_since()?, number, link)))
                .min_by_key(|&(since, number, _)| (since, number));
            let Some((since, number, link)) = quietest else {
                return false;
            };
            // Unless a request has begun on it meanwhile, which keeps its place.
            if link.turn_out(since) {
                self.remove(user, number);
                return true;
            }
        }
    }

    /// Ends a connection of whoever has most of them and one that is quiet, among the
    /// users that have more than `than`, and `own`.
    fn turn_out_of_the_largest(&mut self, than: usize, own: Option<u32>) -> bool {
        let mut users: Vec<(usize, Option<u32>)> = self
            .users
            .iter()
            .map(|(&user, of_user)| (of_user.connections.len(), user))
            .filter(|&(count, user)| count > than || user == own)
            .collect();
        users.sort_unstable_by(|a, b| b.cmp(a));
        users
            .into_iter()
            .any(|(_, user)| self.turn_out_one_of(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(room: usize) -> Arc<Door> {
        Arc::new(Door::new(room, None, u64::MAX))
    }

    fn arrive_as(door: &Arc<Door>, user: Option<u32>) -> (Arc<Link>, Result<Guest, Full>) {
        let link = Arc::new(Link::default());
        let guest = door.admit(&link, user);
        link.fall_quiet(door.tick());
        (link, guest)
    }

    fn arrive(door: &Arc<Door>) -> (Arc<Link>, Result<Guest, Full>) {
        arrive_as(door, None)
    }

    /// Connections that stay busy, as many of `wanted` as get a place.
    fn busy(door: &Arc<Door>, user: u32, wanted: usize) -> Vec<Guest> {
        (0..wanted)
            .map_while(|_| door.admit(&Arc::new(Link::default()), Some(user)).ok())
            .collect()
    }

    #[test]
    fn the_one_that_was_quiet_for_longest_makes_room() {
        let door = door(2);
        let (first, _place) = arrive(&door);
        let (second, _place) = arrive(&door);
        assert!(first.become_busy());
        first.fall_quiet(door.tick());
        let (third, place) = arrive(&door);
        assert!(place.is_ok());
        assert!(second.is_turned_out());
        assert!(
            !second.become_busy(),
            "a request began on a place that is gone"
        );
        assert!(!first.is_turned_out() && !third.is_turned_out());
    }

    #[test]
    fn one_that_was_not_looked_at_yet_is_not_turned_out() {
        let door = door(1);
        let fresh = Arc::new(Link::default());
        let _place = door.admit(&fresh, None).unwrap();
        assert_eq!(arrive(&door).1.unwrap_err(), Full::Everywhere);
        fresh.fall_quiet(door.tick());
        assert!(arrive(&door).1.is_ok());
    }

    #[test]
    fn busy_ones_stay_and_the_newcomer_goes() {
        let door = door(1);
        let (busy, place) = arrive(&door);
        assert!(busy.become_busy());
        assert!(arrive(&door).1.is_err());
        assert!(!door.make_room());
        drop(place);
        assert!(arrive(&door).1.is_ok());
    }

    #[test]
    fn a_limit_that_was_set_is_kept_and_a_place_comes_back_once() {
        let door = Arc::new(Door::new(10, Some(2), u64::MAX));
        let come = |user| arrive_as(&door, Some(user)).1;
        let (first, second) = (come(1), come(1));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(come(1).unwrap_err(), Full::ForThisUser);
        assert!(come(2).is_ok());
        drop(first);
        assert!(come(1).is_ok());
    }

    #[test]
    fn busy_connections_of_one_user_leave_half_of_the_room() {
        let door = door(64);
        let flood = busy(&door, 1, 100);
        assert_eq!(flood.len(), 32);
        let own = arrive_as(&door, Some(1)).1;
        assert_eq!(own.unwrap_err(), Full::ForThisUser);
        assert_eq!(busy(&door, 2, 20).len(), 20);
    }

    #[test]
    fn users_with_their_halves_do_not_keep_a_further_one_out() {
        let door = door(64);
        let (first, second) = (busy(&door, 1, 100), busy(&door, 2, 100));
        assert_eq!(first.len() + second.len(), 56);
        let late = busy(&door, 3, 100);
        assert_eq!(late.len(), 4);
        assert_eq!(busy(&door, 4, 100).len(), 4);
        drop(second);
        assert!(arrive_as(&door, Some(3)).1.is_ok());
    }

    #[test]
    fn a_user_beyond_its_half_turns_out_its_own() {
        let door = door(8);
        let (kept, _place) = arrive_as(&door, Some(2));
        let mut flood: Vec<_> = (0..4).map(|_| arrive_as(&door, Some(1))).collect();
        let fifth = arrive_as(&door, Some(1));
        assert!(fifth.1.is_ok());
        assert!(flood.remove(0).0.is_turned_out());
        assert!(!kept.is_turned_out());
    }

    #[test]
    fn the_user_who_has_most_makes_room_for_another() {
        let door = door(6);
        let (kept, _place) = arrive_as(&door, Some(2));
        let many: Vec<_> = (0..3).map(|_| arrive_as(&door, Some(1))).collect();
        let _others = [arrive_as(&door, Some(3)), arrive_as(&door, Some(4))];
        let (own, _place) = arrive_as(&door, Some(5));
        assert!(many[0].0.is_turned_out());
        assert!(many[1].0.become_busy() && many[2].0.become_busy());
        // Who has as many or more does not turn out another.
        let (_next, place) = arrive_as(&door, Some(5));
        assert!(place.is_ok() && own.is_turned_out());
        assert!(!kept.is_turned_out());
    }

    #[test]
    fn descriptors_are_a_limit_too() {
        assert_eq!(Door::new(1000, None, 64).room, 16);
        assert_eq!(Door::new(1000, None, 10).room, 1);
        assert_eq!(Door::new(1000, None, u64::MAX).room, 1000);
    }

    #[test]
    fn unfinished_heads_are_counted_together_and_by_user() {
        let door = door(8);
        let one = arrive_as(&door, Some(1)).1.unwrap();
        let other = arrive_as(&door, Some(2)).1.unwrap();
        assert!(!one.keep(0, MAX_UNFINISHED));
        assert!(one.keep(0, 1));
        assert!(!other.keep(0, UNFINISHED_OF_ONE));
        assert!(other.keep(0, 1));
        assert!(!one.keep(MAX_UNFINISHED, 0));
        assert!(!other.keep(1, 100));
    }
}

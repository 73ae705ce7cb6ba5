//! How many may be inside at once, and who has to leave when it is full.
//!
//! A connection is *busy* while one of its requests is being answered, or has come
//! and was not looked at yet; it is *quiet* otherwise: silent, between requests, or
//! sending a head slowly. A flood consists
//! of quiet ones. When there is no more room, the one that has been quiet for
//! longest goes, so that a newcomer with a request always gets in; when all are
//! busy, the newcomer is sent away with a 503.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::link::Link;

/// How many bytes of unfinished heads are kept in all.
const MAX_UNFINISHED: usize = 4 * 1024 * 1024;

/// Descriptors that are not for callers: standard streams, the runtime's, the
/// resolver's, files.
const RESERVED_DESCRIPTORS: u64 = 24;

/// All connections inside.
#[derive(Debug)]
pub(crate) struct Door {
    room: usize,
    /// Room for the connections of one user.
    room_per_user: usize,
    inside: Mutex<Inside>,
    /// Gives numbers to guests, and an order to when they fell quiet.
    ticks: AtomicU64,
    unfinished: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inside {
    connections: HashMap<u64, Arc<Link>>,
    /// How many of them each user has, where users are told apart.
    by_user: HashMap<u32, usize>,
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    door: Arc<Door>,
    number: u64,
    user: Option<u32>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.door.lock();
        inside.connections.remove(&self.number);
        if let Some(user) = self.user
            && let Some(count) = inside.by_user.get_mut(&user)
        {
            *count -= 1;
            if *count == 0 {
                inside.by_user.remove(&user);
            }
        }
    }
}

/// Why a connection gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All places are taken by busy connections.
    Everywhere,
    /// Its user has as many as one may have.
    ForThisUser,
}

impl Door {
    /// Room for `most` connections, or for as many as `descriptors` allow: each may
    /// need one more towards the upstream.
    pub(crate) fn new(most: usize, most_per_user: Option<usize>, descriptors: u64) -> Self {
        let possible = descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 2;
        let possible = usize::try_from(possible).unwrap_or(usize::MAX);
        Self {
            room: most.min(possible).max(1),
            room_per_user: most_per_user.unwrap_or(usize::MAX),
            inside: Mutex::new(Inside::default()),
            ticks: AtomicU64::new(1),
            unfinished: AtomicUsize::new(0),
        }
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
        let of_user = user.and_then(|user| inside.by_user.get(&user)).copied();
        if of_user.unwrap_or(0) >= self.room_per_user {
            return Err(Full::ForThisUser);
        }
        if inside.connections.len() >= self.room && !inside.turn_out_one() {
            return Err(Full::Everywhere);
        }
        inside.connections.insert(number, Arc::clone(link));
        if let Some(user) = user {
            *inside.by_user.entry(user).or_default() += 1;
        }
        Ok(Guest {
            door: Arc::clone(self),
            number,
            user,
        })
    }

    /// Ends the connection that has been quiet for longest; false if all are busy.
    pub(crate) fn make_room(&self) -> bool {
        self.lock().turn_out_one()
    }

    /// The next moment of the only clock that counts here.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a connection now keeps `now` bytes of an unfinished head instead
    /// of `before`; true if that is too much, all connections together.
    pub(crate) fn keep(&self, before: usize, now: usize) -> bool {
        if now >= before {
            let more = now - before;
            self.unfinished.fetch_add(more, Ordering::Relaxed) + more > MAX_UNFINISHED
        } else {
            self.unfinished.fetch_sub(before - now, Ordering::Relaxed);
            false
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn turn_out_one(&mut self) -> bool {
        loop {
            let quietest = self
                .connections
                .iter()
                .filter_map(|(&number, link)| Some((link.quiet_since()?, number)))
                .min();
            let Some((since, number)) = quietest else {
                return false;
            };
            // Unless a request has begun on it meanwhile, which keeps its place.
            if self
                .connections
                .get(&number)
                .is_some_and(|link| link.turn_out(since))
            {
                self.connections.remove(&number);
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(room: usize) -> Arc<Door> {
        Arc::new(Door::new(room, None, u64::MAX))
    }

    fn arrive(door: &Arc<Door>) -> (Arc<Link>, Result<Guest, Full>) {
        let link = Arc::new(Link::default());
        let guest = door.admit(&link, None);
        link.fall_quiet(door.tick());
        (link, guest)
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
    fn one_user_cannot_take_all_the_room() {
        let door = Arc::new(Door::new(10, Some(2), u64::MAX));
        let come = |user| door.admit(&Arc::new(Link::default()), Some(user));
        let (first, second) = (come(1), come(1));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(come(1).unwrap_err(), Full::ForThisUser);
        assert!(come(2).is_ok());
        drop(first);
        assert!(come(1).is_ok());
    }

    #[test]
    fn descriptors_are_a_limit_too() {
        assert_eq!(Door::new(1000, None, 64).room, 20);
        assert_eq!(Door::new(1000, None, 10).room, 1);
        assert_eq!(Door::new(1000, None, u64::MAX).room, 1000);
    }

    #[test]
    fn unfinished_heads_are_counted_together() {
        let door = door(1);
        assert!(!door.keep(0, MAX_UNFINISHED));
        assert!(door.keep(0, 1));
        assert!(!door.keep(MAX_UNFINISHED, 0));
        assert!(!door.keep(1, 100));
    }
}

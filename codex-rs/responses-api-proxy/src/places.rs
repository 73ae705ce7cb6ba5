//! How many requests may be in flight at once.
//!
//! The last eighth of the places is for users who have few requests in flight, so that
//! one user does not keep all others out. Where users are not told apart, all may have
//! all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A count with a limit; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Taken {
    by_all: usize,
    /// Users who have none are not in it.
    by_user: HashMap<Option<u32>, usize>,
}

/// One request's place; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    user: Option<u32>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.by_all -= 1;
        if let Some(count) = taken.by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.by_user.remove(&self.user);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
        }
    }

    /// A place for a request of `user`, if users are told apart, unless all are taken.
    pub(crate) fn take(&self, user: Option<u32>) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let own = taken.by_user.get(&user).copied().unwrap_or(0);
        let has_few = user.is_none() || own < self.most / 16;
        let kept_free = if has_few { 0 } else { self.most / 8 };
        if taken.by_all + kept_free >= self.most {
            return None;
        }
        taken.by_all += 1;
        *taken.by_user.entry(user).or_default() += 1;
        drop(taken);
        Some(Place {
            taken: Arc::clone(&self.taken),
            user,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_were_asked_for() {
        for user in [None, Some(1)] {
            let places = Places::new(2);
            let (first, second) = (places.take(user), places.take(user));
            assert!(first.is_some() && second.is_some());
            assert!(places.take(user).is_none() && places.take(user).is_none());
            drop(first);
            assert!(places.take(user).is_some());
        }
    }

    #[test]
    fn one_user_leaves_some_to_others() {
        let places = Places::new(64);
        let flood: Vec<Place> = (0..64).map_while(|_| places.take(Some(1))).collect();
        assert_eq!(flood.len(), 56);
        let others: Vec<Place> = (0..64).map_while(|_| places.take(Some(2))).collect();
        assert_eq!(others.len(), 4);
        assert!(places.take(Some(3)).is_some());
        drop(flood);
        assert!(places.take(Some(2)).is_some());
    }
}

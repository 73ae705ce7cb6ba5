//! How many requests may be in flight at once.
//!
//! The last eighth of the places is for owners that have few requests in flight, so that
//! one user, or holder of a token, does not keep all others out. Where callers are not told apart, all may
//! have all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::upstream::Owner;

/// A count with a limit; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Taken {
    by_all: usize,
    /// Owners that have none are not in it.
    by_owner: HashMap<Owner, usize>,
}

/// One request's place; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    owner: Owner,
}

impl Place {
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.by_all -= 1;
        if let Some(count) = taken.by_owner.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                taken.by_owner.remove(&self.owner);
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

    /// A place for a request of `owner`, unless all are taken.
    pub(crate) fn take(&self, owner: &Owner) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let own = taken.by_owner.get(owner).copied().unwrap_or(0);
        let has_few = !owner.is_known() || own < self.most / 16;
        let kept_free = if has_few { 0 } else { self.most / 8 };
        if taken.by_all + kept_free >= self.most {
            return None;
        }
        taken.by_all += 1;
        *taken.by_owner.entry(owner.clone()).or_default() += 1;
        drop(taken);
        Some(Place {
            taken: Arc::clone(&self.taken),
            owner: owner.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u32) -> Owner {
        Owner::new(Some(number), None)
    }

    #[test]
    fn there_are_as_many_as_were_asked_for() {
        for owner in [Owner::default(), user(1), Owner::new(None, Some("token"))] {
            let places = Places::new(2);
            let (first, second) = (places.take(&owner), places.take(&owner));
            assert!(first.is_some() && second.is_some());
            assert!(places.take(&owner).is_none() && places.take(&owner).is_none());
            drop(first);
            assert!(places.take(&owner).is_some());
        }
    }

    #[test]
    fn one_owner_leaves_some_to_others() {
        let places = Places::new(64);
        let take = |owner: u32| (0..64).map_while(|_| places.take(&user(owner))).collect();
        let flood: Vec<Place> = take(1);
        assert_eq!(flood.len(), 56);
        let others: Vec<Place> = take(2);
        assert_eq!(others.len(), 4);
        assert!(places.take(&user(3)).is_some());
        drop(flood);
        assert!(places.take(&user(2)).is_some());
    }
}

//! How many requests may be in flight at once: in all, and of one owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::upstream::Owner;

/// A count with two limits; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
    max: usize,
    /// Of one owner that can be told from others: half of them, so that nobody's requests keep out
    /// everybody else's.
    max_of_owner: usize,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
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

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All are taken.
    ForAnybody,
    /// The owner has as many as one may have.
    ForThisOwner,
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.in_all -= 1;
        if let Some(count) = taken.by_owner.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                taken.by_owner.remove(&self.owner);
            }
        }
    }
}

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            taken: Arc::default(),
            max,
            max_of_owner: max.div_ceil(2),
        }
    }

    /// A place for one request of `owner`.
    ///
    /// # Errors
    ///
    /// [`NoPlace`] says whose limit is reached.
    pub(crate) fn take(&self, owner: &Owner) -> Result<Place, NoPlace> {
        let mut taken = lock(&self.taken);
        let of_owner = taken.by_owner.get(owner).copied().unwrap_or(0);
        if owner.is_known() && of_owner >= self.max_of_owner {
            return Err(NoPlace::ForThisOwner);
        }
        if taken.in_all >= self.max {
            return Err(NoPlace::ForAnybody);
        }
        taken.in_all += 1;
        *taken.by_owner.entry(owner.clone()).or_default() += 1;
        Ok(Place {
            taken: Arc::clone(&self.taken),
            owner: owner.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_were_asked_for() {
        let places = Places::new(2);
        let take = || places.take(&Owner::default());
        let (first, second) = (take(), take());
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(take().unwrap_err(), NoPlace::ForAnybody);
        assert_eq!(take().unwrap_err(), NoPlace::ForAnybody);
        drop(first);
        assert!(take().is_ok());
    }

    #[test]
    fn one_owner_has_half_of_them_at_most() {
        let places = Places::new(4);
        let (alice, bob) = (Owner::new(Some(1), None), Owner::new(Some(2), None));
        let first = places.take(&alice).unwrap();
        let _second = places.take(&alice).unwrap();
        assert_eq!(places.take(&alice).unwrap_err(), NoPlace::ForThisOwner);
        let _third = places.take(&bob).unwrap();
        drop(first);
        let _fourth = places.take(&alice).unwrap();
        assert_eq!(places.take(&alice).unwrap_err(), NoPlace::ForThisOwner);
        assert!(places.take(&bob).is_ok());
        assert_eq!(lock(&places.taken).by_owner.len(), 2);
    }
}

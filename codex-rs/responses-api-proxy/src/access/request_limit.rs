//! How many requests may be in flight at once.
//!
//! The last eighth of the permits is for callers that have few requests in flight, so that
//! one user, or holder of a token, does not keep all others out. Where callers are not told apart, all may
//! have all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::caller::Caller;

/// A count with a limit; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct RequestLimit {
    taken: Arc<Mutex<Taken>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Taken {
    by_all: usize,
    /// Owners that have none are not in it.
    by_caller: HashMap<Caller, usize>,
}

/// One request's permit; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct RequestPermit {
    taken: Arc<Mutex<Taken>>,
    caller: Caller,
}

impl RequestPermit {
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.by_all -= 1;
        if let Some(count) = taken.by_caller.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                taken.by_caller.remove(&self.caller);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RequestLimit {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
        }
    }

    /// A permit for a request of `caller`, unless all are taken.
    pub(crate) fn take(&self, caller: &Caller) -> Option<RequestPermit> {
        let mut taken = lock(&self.taken);
        let own = taken.by_caller.get(caller).copied().unwrap_or(0);
        let has_few = !caller.is_known() || own < self.most / 16;
        let kept_free = if has_few { 0 } else { self.most / 8 };
        if taken.by_all + kept_free >= self.most {
            return None;
        }
        taken.by_all += 1;
        *taken.by_caller.entry(caller.clone()).or_default() += 1;
        drop(taken);
        Some(RequestPermit {
            taken: Arc::clone(&self.taken),
            caller: caller.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u32) -> Caller {
        Caller::new(Some(number), None)
    }

    #[test]
    fn there_are_as_many_as_were_asked_for() {
        for caller in [Caller::default(), user(1), Caller::new(None, Some("token"))] {
            let limit = RequestLimit::new(2);
            let (first, second) = (limit.take(&caller), limit.take(&caller));
            assert!(first.is_some() && second.is_some());
            assert!(limit.take(&caller).is_none() && limit.take(&caller).is_none());
            drop(first);
            assert!(limit.take(&caller).is_some());
        }
    }

    #[test]
    fn one_caller_leaves_some_to_others() {
        let limit = RequestLimit::new(64);
        let take = |caller: u32| (0..64).map_while(|_| limit.take(&user(caller))).collect();
        let flood: Vec<RequestPermit> = take(1);
        assert_eq!(flood.len(), 56);
        let others: Vec<RequestPermit> = take(2);
        assert_eq!(others.len(), 4);
        assert!(limit.take(&user(3)).is_some());
        drop(flood);
        assert!(limit.take(&user(2)).is_some());
    }
}

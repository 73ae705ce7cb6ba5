//! Which keys are looked for in answers and lines: each as long as something may still have it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::credential::needle::Needle;
use crate::credential::substitution::Substitute;

/// So many keys of requests that are not over are looked for at most, besides those that may still be sent: each look
/// takes its time. Of one more the oldest is looked for in the answer alone that it was sent for.
const MOST_WATCHED: usize = 32;

/// Whoever has one has the key of this generation looked for everywhere: it is in force, or the request that went with
/// it is not over.
pub(crate) struct Watch {
    needle: Arc<Needle>,
}

impl Watch {
    pub(crate) fn needle(&self) -> &Arc<Needle> {
        &self.needle
    }

    #[cfg(test)]
    pub(crate) fn for_tests(needle: Arc<Needle>) -> Arc<Self> {
        Arc::new(Self { needle })
    }
}

struct Issued {
    substitute: Weak<Substitute>,
    watch: Weak<Watch>,
    needle: Arc<Needle>,
}

/// Those that were in force, the newest last.
#[derive(Default)]
pub(crate) struct IssuedKeys(Mutex<Vec<Issued>>);

impl IssuedKeys {
    /// Adds a new one, and gives all that there are to look for then: it, the one before, and those before that some head
    /// still needs or some request went with that is not over.
    pub(crate) fn add(
        &self,
        substitute: &Arc<Substitute>,
        needle: Arc<Needle>,
    ) -> (Arc<Watch>, Vec<Arc<Needle>>) {
        let watch = Arc::new(Watch {
            needle: Arc::clone(&needle),
        });
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = issued.pop();
        let mut room = MOST_WATCHED;
        // From the newest on.
        issued.reverse();
        issued.retain(|issued| {
            let is_watched = issued.watch.strong_count() > 0 && room > 0;
            room -= usize::from(is_watched);
            is_watched || issued.substitute.strong_count() > 0
        });
        issued.reverse();
        issued.extend(last);
        issued.push(Issued {
            substitute: Arc::downgrade(substitute),
            watch: Arc::downgrade(&watch),
            needle,
        });
        let needles = issued.iter().map(|issued| Arc::clone(&issued.needle));
        (watch, needles.collect())
    }
}

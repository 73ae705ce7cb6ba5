//! The keys that may not get out: those that may still be sent, and the one before.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::credential::needle::{Case, Needle};
use crate::observe::printable::FindKey;

/// All of them, for everybody who looks.
pub(crate) struct KnownKeys {
    needles: RwLock<Arc<[Arc<Needle>]>>,
    /// How often they have changed.
    version: AtomicU64,
}

/// What there was to look for at some time.
pub(crate) struct Needles {
    needles: Arc<[Arc<Needle>]>,
    version: u64,
}

impl KnownKeys {
    pub(crate) fn new(needles: Vec<Arc<Needle>>) -> Self {
        Self {
            needles: RwLock::new(needles.into()),
            version: AtomicU64::new(0),
        }
    }

    pub(crate) fn replace(&self, needles: Vec<Arc<Needle>>) {
        *self.needles.write().unwrap_or_else(PoisonError::into_inner) = needles.into();
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn has_changed_since(&self, needles: &Needles) -> bool {
        self.version.load(Ordering::Acquire) != needles.version
    }

    /// What there is to look for now, and `own`.
    pub(crate) fn with(&self, own: Option<&Arc<Needle>>) -> Needles {
        // Before the list: one that is replaced meanwhile is asked for again.
        let version = self.version.load(Ordering::Acquire);
        let needles = Arc::clone(&self.needles.read().unwrap_or_else(PoisonError::into_inner));
        let needles = match own {
            Some(own) if !needles.iter().any(|known| Arc::ptr_eq(known, own)) => {
                needles.iter().chain([own]).cloned().collect()
            }
            _ => needles,
        };
        Needles { needles, version }
    }

    /// One key that stays, for as long as the tests run.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests(key: &[u8]) -> &'static Self {
        let needle = Arc::new(Needle::with_numbers_for_tests(key));
        Box::leak(Box::new(Self::new(vec![needle])))
    }
}

impl FindKey for KnownKeys {
    fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        self.with(None).find(text, Case::Ignored)
    }
}

impl Needles {
    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.needles.iter().all(|needle| needle.is_empty())
    }

    pub(crate) fn is_in(&self, text: &[u8], case: Case) -> bool {
        // All of them, whichever is found: how long this takes tells nothing then.
        self.needles
            .iter()
            .fold(false, |is_in, needle| is_in | needle.is_in(text, case))
    }

    /// How many bytes at the end of `text` could be the beginning of some key
    /// ([`Needle::open_end`]).
    pub(crate) fn open_end(&self, text: &[u8]) -> usize {
        let open = self.needles.iter().map(|needle| needle.open_end(text));
        open.max().unwrap_or(0)
    }

    /// Where keys are in `text`: ranges in their order, those that overlap or touch joined to one.
    pub(crate) fn find(&self, text: &[u8], case: Case) -> Vec<Range<usize>> {
        if let [needle] = &*self.needles {
            return needle.find(text, case);
        }
        let found = self
            .needles
            .iter()
            .flat_map(|needle| needle.find(text, case));
        let mut found: Vec<_> = found.collect();
        found.sort_unstable_by_key(|place| place.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for place in found {
            match joined.last_mut() {
                Some(last) if last.end >= place.start => last.end = last.end.max(place.end),
                _ => joined.push(place),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle(key: &[u8]) -> Arc<Needle> {
        Arc::new(Needle::with_numbers_for_tests(key))
    }

    #[test]
    fn each_of_several_keys_is_found_and_places_that_touch_are_joined() {
        let known = KnownKeys::new(vec![
            needle(b"sk-first-0001"),
            needle(b"sk-second-key-0002"),
        ]);
        let own = needle(b"sk-long-ago-0");
        let needles = known.with(Some(&own));
        let text = b"sk-second-key-0002sk-first-0001 sk-long-ago-0 sk-third-0003";
        assert_eq!(needles.find(text, Case::Exact), [0..31, 32..45]);
        assert_eq!(known.places(text).first(), Some(&(0..31)));
        assert!(needles.is_in(b"SK-LONG-AGO-0", Case::Ignored));
        assert_eq!(needles.open_end(&[b'x'; 100]), 17);
    }

    #[test]
    fn a_change_is_seen() {
        let known = KnownKeys::new(vec![needle(b"sk-first-0001")]);
        let needles = known.with(None);
        assert!(!known.has_changed_since(&needles));
        known.replace(vec![needle(b"sk-second-0002")]);
        assert!(known.has_changed_since(&needles));
        let needles = known.with(None);
        assert!(!known.has_changed_since(&needles));
        assert!(!needles.is_in(b"sk-first-0001", Case::Exact));
        assert!(needles.is_in(b"sk-second-0002", Case::Exact));
    }
}

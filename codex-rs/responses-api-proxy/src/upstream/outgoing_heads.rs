//! The heads of requests that were given to a connection and are still to be encrypted: until then each keeps its
//! credential in its memory.
//!
//! Of a request that is given up before its head is written, HTTP/2 may or may not write the head later. So it keeps
//! its credential for a while; should the head be written after that, and the credential be gone, the connection ends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::credential::generation::HeadPermit;
use crate::credential::substitution::sealed::Sealed;

/// How long a head that is not encrypted keeps its credential, where the connection is given other requests meanwhile.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Those of one connection.
#[derive(Debug, Default)]
pub(crate) struct OutgoingHeads(Mutex<Vec<Expected>>);

#[derive(Debug)]
struct Expected {
    permit: HeadPermit,
    since: Instant,
}

impl OutgoingHeads {
    /// A head is given to the connection; `None` if its credential stays in any case.
    pub(super) fn expect(&self, permit: Option<HeadPermit>) {
        if let Some(permit) = permit {
            self.expect_at(permit, Instant::now());
        }
    }

    fn expect_at(&self, permit: HeadPermit, now: Instant) {
        let mut heads = self.lock();
        heads.retain(|head| now.saturating_duration_since(head.since) < FORGOTTEN_AFTER);
        heads.push(Expected { permit, since: now });
    }

    /// A head with the credential in `slot` was not sent and will not be.
    pub(super) fn take_back(&self, slot: Option<usize>) -> Option<HeadPermit> {
        let mut heads = self.lock();
        // Of two with the same credential either does.
        let at = heads
            .iter()
            .position(|head| Some(head.permit.slot()) == slot)?;
        Some(heads.swap_remove(at).permit)
    }

    /// So many heads with the credential of each slot have been encrypted.
    pub(super) fn sealed(&self, sealed: Sealed) {
        for (slot, count) in sealed.into_iter().enumerate() {
            for _ in 0..count {
                drop(self.take_back(Some(slot)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::locked::SLOTS;

    #[test]
    fn a_head_keeps_its_credential_until_it_is_encrypted_or_forgotten() {
        let (permits, is_kept) = HeadPermit::several_for_tests();
        let heads = OutgoingHeads::default();
        let now = Instant::now();
        let [first, second, third, fourth] = permits;
        heads.expect_at(first, now);
        heads.expect_at(second, now);
        let mut sealed = [0; SLOTS];
        sealed[0] = 1;
        heads.sealed(sealed);
        assert_eq!(is_kept(), [false, true, true, true]);
        // Of the other one nothing more is heard, and the connection goes on.
        heads.expect_at(third, now + FORGOTTEN_AFTER / 2);
        assert_eq!(is_kept(), [false, true, true, true]);
        heads.expect_at(fourth, now + FORGOTTEN_AFTER);
        assert_eq!(is_kept(), [false, false, true, true]);
        // One that was not sent is given to another connection.
        let back = heads.take_back(Some(3));
        assert!(back.is_some() && heads.take_back(Some(3)).is_none());
        drop(back);
        assert_eq!(is_kept(), [false, false, true, false]);
    }
}

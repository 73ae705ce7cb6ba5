//! The heads of requests that were given to a connection and are still to be encrypted: until then each keeps its
//! credential in its memory.
//!
//! A request that is given up before its head is written keeps it until the connection ends, which is not known of
//! it: HTTP/2 may or may not have begun to write it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::credential::generation::HeadPermit;
use crate::credential::substitution::sealed::Sealed;

/// Those of one connection.
#[derive(Debug, Default)]
pub(crate) struct OutgoingHeads(Mutex<Vec<HeadPermit>>);

impl OutgoingHeads {
    /// A head is given to the connection; `None` if its credential stays in any case.
    pub(super) fn expect(&self, permit: Option<HeadPermit>) {
        if let Some(permit) = permit {
            self.lock().push(permit);
        }
    }

    /// A head with the credential in `slot` was not sent and will not be.
    pub(super) fn take_back(&self, slot: Option<usize>) -> Option<HeadPermit> {
        let mut heads = self.lock();
        // Of two with the same credential either does.
        let at = heads
            .iter()
            .position(|permit| Some(permit.slot()) == slot)?;
        Some(heads.swap_remove(at))
    }

    /// So many heads with the credential of each slot have been encrypted.
    pub(super) fn sealed(&self, sealed: Sealed) {
        for (slot, count) in sealed.into_iter().enumerate() {
            for _ in 0..count {
                drop(self.take_back(Some(slot)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HeadPermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

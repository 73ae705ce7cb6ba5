//! Which credentials have just been encrypted, told from where that happens to where writing was asked for.
//!
//! rustls encrypts within a call to write, on the thread of the caller, and has no way to say what it did.

use std::cell::Cell;

use crate::credential::locked::SLOTS;

/// How many heads of requests were encrypted with the credential of each slot.
pub(crate) type Sealed = [u16; SLOTS];

thread_local! {
    static SEALED: Cell<Sealed> = const { Cell::new([0; SLOTS]) };
}

/// A head with the credential of this slot is encrypted.
pub(super) fn note(slot: usize) {
    let mut sealed = SEALED.get();
    if let Some(count) = sealed.get_mut(slot) {
        *count = count.saturating_add(1);
    }
    SEALED.set(sealed);
}

/// What was encrypted on this thread since this was last asked.
pub(crate) fn take() -> Sealed {
    SEALED.take()
}

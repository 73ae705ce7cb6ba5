//! Where there are no numbered descriptors none is read from.

use crate::credential::locked::{EmptySlot, LockedCredential};

use super::SourceError;

pub(crate) enum Lines {}

impl Lines {
    pub(crate) fn next(
        &mut self,
        _slot: EmptySlot,
    ) -> Result<Option<LockedCredential>, SourceError> {
        match *self {}
    }
}

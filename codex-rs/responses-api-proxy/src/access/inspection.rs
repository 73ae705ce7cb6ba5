//! What looks at a request's body while it passes, and finds out at its end whether the request may go up.

use std::sync::Arc;

use crate::access::request_limit::RequestPermit;
use crate::access::reservation::Reservation;
use crate::inspect::request_facts::RequestInspector;
use crate::refusal::Refusal;

/// The request may not go up; its [`Reservation`] has the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAllowed;

/// Looks at one request's body.
pub(crate) struct Inspection {
    /// Until the end of the body, or of its being readable.
    inspector: Option<RequestInspector>,
    /// Held as long as there is an inspector that takes much memory.
    _decoder: Option<RequestPermit>,
    reservation: Arc<Reservation>,
}

impl Inspection {
    pub(crate) fn new(
        inspector: RequestInspector,
        decoder: Option<RequestPermit>,
        reservation: Arc<Reservation>,
    ) -> Self {
        Self {
            inspector: Some(inspector),
            _decoder: decoder,
            reservation,
        }
    }

    /// Looks at the next piece.
    ///
    /// # Errors
    ///
    /// It cannot be read in exactly one way.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), NotAllowed> {
        let inspector = self.inspector.as_mut().ok_or(NotAllowed)?;
        match inspector.push(piece) {
            Ok(()) => Ok(()),
            Err(malformed) => {
                self.inspector = None;
                self.refuse(malformed.into())
            }
        }
    }

    /// The body ends here.
    ///
    /// # Errors
    ///
    /// The policy does not allow the request, or what it may cost is not left.
    pub(crate) fn decide(&mut self) -> Result<(), NotAllowed> {
        let inspector = self.inspector.take().ok_or(NotAllowed)?;
        let decided = match inspector.finish() {
            Ok(facts) => self.reservation.decide(facts),
            Err(malformed) => Err(malformed.into()),
        };
        match decided {
            Ok(()) => Ok(()),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Result<(), NotAllowed> {
        self.reservation.refuse(refusal);
        Err(NotAllowed)
    }
}

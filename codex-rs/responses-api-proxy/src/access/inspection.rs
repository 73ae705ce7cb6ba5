//! What looks at a request's body while it passes, and finds out at its end whether the request may go up.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::access::lease_wait::{LeaseWait, Waited};
use crate::access::request_limit::RequestPermit;
use crate::access::reservation::Reservation;
use crate::access::wanted::{Decided, Wanted};
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
    /// Once the policy allows it, until there is a decision.
    wanted: Option<(Wanted, Option<LeaseWait>)>,
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
            wanted: None,
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

    /// The body ends here. Pending while what this host may spend of a limit that others share has to be asked for.
    ///
    /// # Errors
    ///
    /// The policy does not allow the request, or what it may cost is not left.
    pub(crate) fn poll_decide(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotAllowed>> {
        if let Some(inspector) = self.inspector.take() {
            let judged = match inspector.finish() {
                Ok(facts) => self.reservation.judge(facts),
                Err(malformed) => Err(malformed.into()),
            };
            match judged {
                // Before it is asked for: what comes meanwhile is not missed.
                Ok(wanted) => self.wanted = Some((wanted, self.reservation.lease_wait())),
                Err(refusal) => return Poll::Ready(self.refuse(refusal)),
            }
        }
        let mut may_wait = true;
        loop {
            let Some((wanted, wait)) = self.wanted.take() else {
                return Poll::Ready(Err(NotAllowed));
            };
            let decided = self.reservation.reserve(wanted, may_wait && wait.is_some());
            let (wanted, mut wait) = match (decided, wait) {
                (Ok(Decided::NotYet(wanted)), Some(wait)) => (wanted, wait),
                (Err(refusal), _) => return Poll::Ready(self.refuse(refusal)),
                (Ok(_), _) => return Poll::Ready(Ok(())),
            };
            let waited = wait.poll(cx);
            self.wanted = Some((wanted, Some(wait)));
            may_wait = ready!(waited) == Waited::Changed;
        }
    }

    fn refuse(&self, refusal: Refusal) -> Result<(), NotAllowed> {
        self.reservation.refuse(refusal);
        Err(NotAllowed)
    }
}

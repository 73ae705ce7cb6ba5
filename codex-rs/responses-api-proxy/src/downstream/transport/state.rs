//! The states of a caller's connection, and every way from one to another.
//!
//! ```text
//!             +----------------------- Answered -----------------------+
//!             v                                                        |
//!   Idle(Unknown) -- NothingRead --> Idle(FirstHead, NextHead) --+     |
//!             |                           | NothingRead          |     |
//!             |                           v                      v     |
//!             +-- NothingRead --> Idle(RestOfHead) -- HeadComplete --> Answering
//!
//!   Idle(RestOfHead) --------- TimedOut --> Rejecting
//!   Idle(anything) -------- HeadRefused --> Rejecting
//!   Idle(anything else) ------ TimedOut --> Expired
//!   Rejecting, Expired ------- ShutDown --> Lingering -- LingerOver --> Closed
//!   Idle, Answering -- ShutDownMidRequest --> Lingering
//!   Idle, Answering ---------- ShutDown --> Closed
//! ```

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Sleep;

use crate::config::limits;
use crate::downstream::head::Inbound;
use crate::downstream::head_error::HeadError;

/// How long a closing connection waits for a caller that is still sending.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Where a connection is between two requests, within one, or at its end.
#[derive(Debug)]
pub(super) enum State {
    /// Every request is answered, and every answer is with the kernel: a further head may be
    /// looked at. (What is left of the body of a request that was answered early passes, too.)
    Idle(Awaited),
    /// A head was passed on and its answer is not yet written. The body passes; what comes behind
    /// it is buffered, or discarded.
    Answering {
        /// hyper waits for the caller's next bytes, and so notices when it leaves.
        is_read: bool,
    },
    /// Nothing more is read: a head was refused, for this reason. What of the final response is not yet
    /// written; `None` as long as there is no response.
    Rejecting(HeadError, Option<Bytes>),
    /// Nothing more is read: no request came in time. There is nothing to say.
    Expired,
    /// Our side is shut down. What the caller still sends is discarded until it has seen that, or
    /// until its time is up.
    Lingering(Pin<Box<Sleep>>),
    /// Our side is shut down, and the caller's does not matter.
    Closed,
}

/// What an idle connection waits for, each with a timeout of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Nobody has looked yet whether a request is there.
    Unknown,
    /// The first request, from the first moment on.
    FirstHead,
    /// The rest of a head, from its first byte on.
    RestOfHead,
    /// A further request.
    NextHead,
}

/// What moves a connection from one state to another.
#[derive(Debug)]
pub(super) enum Event {
    /// The socket had nothing more to read, and this is what is waited for.
    NothingRead(Awaited),
    /// The next head is whole and acceptable, and goes to hyper.
    HeadComplete,
    /// The next head can never be accepted.
    HeadRefused(HeadError),
    /// What an idle connection waited for did not come in time.
    TimedOut,
    /// Every request is answered, and every answer is with the kernel.
    Answered,
    /// Our side was shut down.
    ShutDown,
    /// The same while the caller may be in the middle of sending something.
    ShutDownMidRequest,
    /// The caller has ended its side, or its time is up.
    LingerOver,
}

impl Default for State {
    fn default() -> Self {
        Self::Idle(Awaited::Unknown)
    }
}

impl State {
    /// The only place where a state follows from another. An event that says nothing in a state
    /// leaves it as it is.
    pub(super) fn after(self, event: Event) -> Self {
        use Awaited::{RestOfHead, Unknown};
        match (self, event) {
            (Self::Idle(_), Event::NothingRead(awaited)) => Self::Idle(awaited),
            (Self::Idle(_), Event::HeadComplete) => Self::Answering { is_read: false },
            (Self::Answering { .. }, Event::Answered) => Self::Idle(Unknown),

            (Self::Idle(RestOfHead), Event::TimedOut) => Self::rejecting(HeadError::TooSlow),
            (Self::Idle(_), Event::TimedOut) => Self::Expired,
            // Heads are looked at only while the connection is idle, so that the response falls
            // into no other answer; within one only `HeadError::Lost` could happen, if anything.
            (Self::Idle(_) | Self::Answering { .. }, Event::HeadRefused(error)) => {
                Self::rejecting(error)
            }

            (Self::Lingering(_), Event::LingerOver) => Self::Closed,
            (state @ (Self::Lingering(_) | Self::Closed), _) => state,
            (Self::Rejecting(..) | Self::Expired, Event::ShutDown)
            | (_, Event::ShutDownMidRequest) => {
                Self::Lingering(Box::pin(tokio::time::sleep(LINGER)))
            }
            (_, Event::ShutDown) => Self::Closed,
            (state, _) => state,
        }
    }

    fn rejecting(error: HeadError) -> Self {
        Self::Rejecting(error, None)
    }

    /// Whether the next head may be looked at.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle(_))
    }

    /// Whether hyper is to read on; what it reads otherwise is the end.
    pub(super) fn reads(&self) -> bool {
        matches!(self, Self::Idle(_) | Self::Answering { .. })
    }

    /// Notes whether hyper waits for the caller's next bytes, which matters while it is answered.
    pub(super) fn note_read(&mut self, waits: bool) {
        if let Self::Answering { is_read } = self {
            *is_read = waits;
        }
    }
}

impl Awaited {
    /// What is waited for once all that has come was looked at.
    pub(super) fn by(inbound: &Inbound) -> Self {
        if inbound.has_buffered() {
            Self::RestOfHead
        } else if inbound.heads() == 0 {
            Self::FirstHead
        } else {
            Self::NextHead
        }
    }

    /// Whether the time of `before` goes on running now that this is awaited: a first head has its
    /// time from the connection on, whenever its first byte comes.
    pub(super) fn continues(self, before: Self) -> bool {
        self == before || (before, self) == (Self::FirstHead, Self::RestOfHead)
    }

    /// How long it is waited for.
    pub(super) fn timeout(self, header_timeout: Duration) -> Duration {
        match self {
            Self::Unknown | Self::FirstHead | Self::RestOfHead => header_timeout,
            Self::NextHead => limits::IDLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Awaited::{FirstHead, NextHead, RestOfHead, Unknown};

    const ALL_AWAITED: [Awaited; 4] = [Unknown, FirstHead, RestOfHead, NextHead];

    fn lingering() -> State {
        State::Lingering(Box::pin(tokio::time::sleep(LINGER)))
    }

    fn rejecting() -> State {
        State::Rejecting(HeadError::Host, None)
    }

    fn answering() -> State {
        State::Answering { is_read: true }
    }

    #[test]
    fn what_is_awaited_is_known_once_nothing_more_was_read() {
        for awaited in [FirstHead, RestOfHead, NextHead] {
            let state = State::default().after(Event::NothingRead(awaited));
            assert!(matches!(state, State::Idle(now) if now == awaited));
        }
        for before in [FirstHead, NextHead] {
            let state = State::Idle(before).after(Event::NothingRead(RestOfHead));
            assert!(matches!(state, State::Idle(RestOfHead)));
        }
    }

    #[test]
    fn only_a_first_head_begun_goes_on_with_the_time_it_had() {
        for before in ALL_AWAITED {
            for now in ALL_AWAITED {
                let goes_on = before == now || (before == FirstHead && now == RestOfHead);
                assert_eq!(now.continues(before), goes_on, "{before:?} -> {now:?}");
            }
        }
    }

    #[test]
    fn a_complete_head_is_answered_and_the_next_one_awaited() {
        for awaited in ALL_AWAITED {
            let state = State::Idle(awaited).after(Event::HeadComplete);
            assert!(matches!(state, State::Answering { is_read: false }));
        }
        let state = answering().after(Event::Answered);
        assert!(matches!(state, State::Idle(Unknown)));
    }

    #[test]
    fn a_refused_head_is_answered_by_us() {
        for state in ALL_AWAITED
            .map(State::Idle)
            .into_iter()
            .chain([answering()])
        {
            let state = state.after(Event::HeadRefused(HeadError::Host));
            assert!(matches!(state, State::Rejecting(HeadError::Host, None)));
        }
    }

    #[test]
    fn a_timeout_is_answered_only_within_a_head() {
        for awaited in [Unknown, FirstHead, NextHead] {
            let state = State::Idle(awaited).after(Event::TimedOut);
            assert!(matches!(state, State::Expired));
        }
        let state = State::Idle(RestOfHead).after(Event::TimedOut);
        assert!(matches!(state, State::Rejecting(HeadError::TooSlow, None)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_for_whoever_is_sending() {
        let ends: [fn() -> State; 2] = [rejecting, || State::Expired];
        for state in ends {
            for event in [Event::ShutDown, Event::ShutDownMidRequest] {
                assert!(matches!(state().after(event), State::Lingering(_)));
            }
        }
        let others: [fn() -> State; 2] = [State::default, answering];
        for state in others {
            let (done, sending) = (Event::ShutDown, Event::ShutDownMidRequest);
            assert!(matches!(state().after(done), State::Closed));
            assert!(matches!(state().after(sending), State::Lingering(_)));
        }
        let state = lingering().after(Event::LingerOver);
        assert!(matches!(state, State::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_leads_back_from_the_end() {
        let events = || {
            [
                Event::NothingRead(NextHead),
                Event::HeadComplete,
                Event::HeadRefused(HeadError::Host),
                Event::TimedOut,
                Event::Answered,
            ]
        };
        let ends: [fn() -> State; 4] = [rejecting, || State::Expired, lingering, || State::Closed];
        for state in ends {
            for event in events() {
                let (before, state) = (state(), state().after(event));
                let same = std::mem::discriminant(&before) == std::mem::discriminant(&state);
                assert!(same && !state.is_idle() && !state.reads(), "{state:?}");
            }
        }
        let again = State::Closed.after(Event::ShutDownMidRequest);
        assert!(matches!(again, State::Closed));
    }

    #[test]
    fn whether_hyper_waits_for_bytes_matters_only_while_it_answers() {
        let mut state = State::default();
        state.note_read(true);
        assert!(state.is_idle() && state.reads());
        let mut state = state.after(Event::HeadComplete);
        state.note_read(true);
        assert!(matches!(state, State::Answering { is_read: true }));
    }
}

//! How a request came out: a closed list, and each request has exactly one.

use std::fmt;

/// How a request came out.
///
/// A `cause` is [printable](crate::observe::printable::printable) before it gets here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The caller left before it had a whole answer.
    #[default]
    CallerLeft,
    /// A whole answer, with a status below 400.
    Complete,
    /// A whole answer, whose final event says that the response is not (`response.incomplete`,
    /// `response.failed`).
    Incomplete,
    /// An answer of the proxy's own, and no complete request went up.
    Refused { code: &'static str, cause: String },
    /// The caller's body ended before its framing said so.
    BodyCut,
    /// The caller stopped sending its body, or took nothing of its answer for too long.
    CallerStalled,
    /// A whole answer of the upstream, with a status of 400 or more.
    UpstreamError,
    /// No answer of the upstream; the caller was told so.
    UpstreamFailed { code: &'static str, cause: String },
    /// The upstream's answer broke off, and the caller's with it.
    UpstreamCut { code: &'static str, cause: String },
    /// Ended by the proxy, because it would have cost more than a limit of the policy leaves.
    OverBudget,
    /// Cut off at the end of the drain.
    Drained,
    /// Its connection made room for another one before the request was looked at.
    Evicted,
    /// A fault of the proxy itself ended it; standard error has the place in the source.
    InternalError,
}

impl Outcome {
    /// Its name in logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::CallerLeft => "caller_left",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Refused { .. } => "refused",
            Self::BodyCut => "body_cut",
            Self::CallerStalled => "caller_stalled",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamFailed { .. } => "upstream_failed",
            Self::UpstreamCut { .. } => "upstream_cut",
            Self::OverBudget => "over_budget",
            Self::Drained => "drained",
            Self::Evicted => "evicted",
            Self::InternalError => "internal_error",
        }
    }

    /// The refusal's or fault's code, where it has one.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused { code, .. }
            | Self::UpstreamFailed { code, .. }
            | Self::UpstreamCut { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The sentence that goes with the code.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self {
            Self::Refused { cause, .. }
            | Self::UpstreamFailed { cause, .. }
            | Self::UpstreamCut { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

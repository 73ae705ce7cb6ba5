//! What an outcome, a code or an upstream's status means, and what to do about it.

use crate::why::codes::code;

/// What happened, and what to do, in a sentence each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened.
    pub happened: &'static str,
    /// What to change, or whom to ask.
    pub mend: &'static str,
}

impl Explanation {
    /// Of a refusal's or fault's code; `None` for one that is not in this version.
    #[must_use]
    pub fn of_code(name: &str) -> Option<Self> {
        code(name)
    }

    /// Of an outcome; `None` for one that is not in this version.
    #[must_use]
    pub fn of_outcome(name: &str) -> Option<Self> {
        let (happened, mend) = match name {
            "complete" => (
                "The upstream answered, and the caller has the whole answer.",
                "Nothing.",
            ),
            "incomplete" => (
                "The caller has a whole answer, whose last event says that the response itself is not complete: the \
                 model stopped early or failed.",
                "Look at the reason in the last event (`response.incomplete`, `response.failed`); most often \
                 max_output_tokens is too small.",
            ),
            "refused" => (
                "The proxy answered itself, and nothing complete went to the upstream.",
                "Go by the code and the message.",
            ),
            "upstream_error" => (
                "The upstream answered with an error, which the caller has as it was sent.",
                "Go by the status and the error in the answer.",
            ),
            "upstream_failed" => (
                "There was no answer of the upstream; the proxy told the caller so.",
                "Go by the code and the message, and try again.",
            ),
            "upstream_cut" => (
                "The upstream's answer broke off, and the proxy broke off the caller's: it does not look complete.",
                "Try again; if it happens often, look at what is between the proxy and the upstream.",
            ),
            "caller_left" => (
                "The caller closed its connection before it had the whole answer.",
                "Look at the caller: a timeout of its own, an interruption, a crash. The upstream may charge for what \
                 it had made.",
            ),
            "caller_stalled" => (
                "The caller stopped: it sent no more of its request, or took nothing of its answer for five minutes.",
                "Look at the caller, and whether it reads its answers; --body-timeout is for requests that come slowly.",
            ),
            "body_cut" => (
                "The request ended before the length that it said it has; nothing complete went to the upstream.",
                "Look at the caller: it has to send the whole body, and Content-Length has to be right.",
            ),
            "over_budget" => (
                "The proxy ended the answer, because it would have cost clearly more than a limit of the policy leaves.",
                "Ask whoever runs the proxy for a higher limit, wait until it is renewed, or ask for less \
                 (max_output_tokens).",
            ),
            "drained" => (
                "The proxy was shut down, and the answer was not finished when its time for that was over.",
                "Try again; whoever runs the proxy can give it more time to finish (--drain-timeout).",
            ),
            "evicted" => (
                "The connection was closed to make room for another one, before its request was looked at.",
                "Try again; if it happens often, have --max-connections raised, or look for who holds so many.",
            ),
            "internal_error" => (
                "A fault of the proxy itself ended it.",
                "Try again, and report it: the proxy's standard error names the place in the source.",
            ),
            _ => return None,
        };
        Some(Self { happened, mend })
    }

    /// Of a status of the upstream that says more than [`of_outcome`](Self::of_outcome) can.
    pub(super) fn of_upstream_status(status: u64) -> Option<Self> {
        let (happened, mend) = match status {
            400 | 404 | 422 => (
                "The upstream refused the request as it was: a model or a parameter that it does not have.",
                "Look at the error in the answer and mend the request.",
            ),
            401 => (
                "The upstream does not accept the proxy's key: it was revoked, or is of another service.",
                "Ask whoever runs the proxy to give it a valid key. Nothing is wrong with the caller.",
            ),
            403 => (
                "The upstream accepts the proxy's key, and does not allow this: the model, the region, the project.",
                "Ask whoever has the account; or ask for another model.",
            ),
            413 => ("The request is too large for the upstream.", "Send less."),
            429 => (
                "The upstream's own limit for the account is reached, or the account has no credit left; it is not one \
                 of the proxy's limits.",
                "Try again later; whoever has the account can raise its limits.",
            ),
            500..=599 => (
                "The upstream failed at the request.",
                "Try again later; see the status page of the service.",
            ),
            _ => return None,
        };
        Some(Self { happened, mend })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_of_the_schema_has_a_text() {
        let schema = include_str!("../../../../docs/access-log.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let outcomes = schema["properties"]["outcome"]["enum"].as_array().unwrap();
        assert!(outcomes.len() >= 13);
        for outcome in outcomes {
            let outcome = outcome.as_str().unwrap();
            assert!(Explanation::of_outcome(outcome).is_some(), "{outcome}");
        }
        assert_eq!(Explanation::of_outcome("nothing"), None);
    }
}

//! One record of each request whose head was read, and how the request came out.
//!
//! It is made when the head has been read and shared by whatever learns something of the request: who called, what
//! was refused, what the upstream did. It is over when the last of them lets go of it. What was not said by then did
//! not happen: a request of which nothing else is known is one whose caller left.

use std::sync::{Mutex, PoisonError};

use crate::observe::stderr;

/// How a request came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The caller left before it had a whole answer.
    #[default]
    CallerLeft,
    /// A whole answer, with a status below 400.
    Complete,
    /// An answer of the proxy's own, and no complete request went up.
    Refused { code: &'static str },
    /// The caller's body ended before its framing said so.
    BodyCut,
    /// The caller stopped sending its body.
    CallerStalled,
    /// A whole answer of the upstream, with a status of 400 or more.
    UpstreamError,
    /// No answer of the upstream; the caller was told so.
    /// `cause` is [printable](crate::observe::printable::printable), as below.
    UpstreamFailed { code: &'static str, cause: String },
    /// The upstream's answer broke off, and the caller's with it.
    UpstreamCut { code: &'static str, cause: String },
}

/// What is known of one request.
#[derive(Debug, Default)]
pub(crate) struct Record {
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    /// The name of the caller's token, where callers have one.
    token: Option<String>,
    outcome: Outcome,
}

impl Record {
    /// The caller has shown the token of this name.
    pub(crate) fn name_token(&self, name: String) {
        self.with(|facts| facts.token = Some(name));
    }

    /// How it came out, as far as is known; a later word overrides. What an operator should know of is said now: a
    /// caller that reads slowly may let go of the record much later.
    pub(crate) fn conclude(&self, outcome: Outcome) {
        self.with(|facts| {
            facts.outcome = outcome;
            facts.fault_line().iter().for_each(stderr::line);
        });
    }

    /// All of an answer with this status was handed to the caller's connection: that is how it came out, unless
    /// something else was said of it.
    pub(crate) fn answered(&self, status: http::StatusCode) {
        self.with(|facts| {
            if facts.outcome == Outcome::CallerLeft {
                facts.outcome = match status.as_u16() {
                    ..400 => Outcome::Complete,
                    _ => Outcome::UpstreamError,
                };
            }
        });
    }

    /// The upstream's answer had the key in it.
    pub(crate) fn note_key_in_answer(&self) {
        stderr::line(
            "the upstream sent the key back; it was kept from the caller (is --upstream-url right?)",
        );
    }

    fn with(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Facts {
    /// What an operator should know of it, and nothing of what went well.
    fn fault_line(&self) -> Option<String> {
        match &self.outcome {
            Outcome::UpstreamFailed { code, cause } => {
                let whose = self.token.as_ref();
                let whose = whose.map_or_else(String::new, |name| format!(" for {name}"));
                Some(format!("no answer{whose}: {code}: {cause}"))
            }
            Outcome::UpstreamCut { code, cause } => {
                Some(format!("answer cut short: {code}: {cause}"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::StatusCode;

    fn outcome(told: impl FnOnce(&Record)) -> Outcome {
        let record = Record::default();
        told(&record);
        record.facts.lock().unwrap().outcome.clone()
    }

    fn line(told: impl FnOnce(&Record)) -> Option<String> {
        let record = Record::default();
        told(&record);
        let facts = record.facts.lock().unwrap();
        facts.fault_line()
    }

    #[test]
    fn a_caller_that_has_no_whole_answer_has_left() {
        assert_eq!(outcome(|_| {}), Outcome::CallerLeft);
        assert_eq!(
            outcome(|record| record.name_token("ci".to_owned())),
            Outcome::CallerLeft
        );
    }

    #[test]
    fn a_whole_answer_is_complete_or_the_upstream_s_error() {
        for (status, expected) in [
            (StatusCode::OK, Outcome::Complete),
            (StatusCode::NOT_MODIFIED, Outcome::Complete),
            (StatusCode::BAD_REQUEST, Outcome::UpstreamError),
            (StatusCode::SERVICE_UNAVAILABLE, Outcome::UpstreamError),
        ] {
            assert_eq!(outcome(|record| record.answered(status)), expected);
        }
    }

    #[test]
    fn what_was_said_stays_although_the_answer_that_says_so_is_whole() {
        let refused = Outcome::Refused {
            code: "host_not_allowed",
        };
        let seen = outcome(|record| {
            record.conclude(refused.clone());
            record.answered(StatusCode::FORBIDDEN);
        });
        assert_eq!(seen, refused);
    }

    #[test]
    fn faults_of_the_upstream_are_lines_with_the_token_and_the_code() {
        let (code, cause) = ("upstream_dns", "no address".to_owned());
        let failed = Outcome::UpstreamFailed {
            code,
            cause: cause.clone(),
        };
        let said = line(|record| {
            record.name_token("ci".to_owned());
            record.conclude(failed);
        });
        let expected = "no answer for ci: upstream_dns: no address";
        assert_eq!(said.as_deref(), Some(expected));
        let said = line(|record| record.conclude(Outcome::UpstreamCut { code, cause }));
        let expected = "answer cut short: upstream_dns: no address";
        assert_eq!(said.as_deref(), Some(expected));
    }

    #[test]
    fn what_went_well_or_was_the_caller_s_doing_is_not_a_line() {
        for outcome in [
            Outcome::Complete,
            Outcome::CallerLeft,
            Outcome::UpstreamError,
            Outcome::BodyCut,
            Outcome::CallerStalled,
            Outcome::Refused {
                code: "bad_request",
            },
        ] {
            assert_eq!(line(|record| record.conclude(outcome)), None);
        }
    }
}

//! What is known of a request that is over: what every sink is given.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;

use crate::inspect::answer::facts::AnswerFacts;
use crate::observe::outcome::Outcome;

/// One request, over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Counts from 1 in each process; [`RequestIds`](crate::observe::request_id::RequestIds) makes it unique.
    pub(crate) number: u64,
    /// When its head had been read.
    pub(crate) at: SystemTime,
    pub(crate) outcome: Outcome,
    pub(crate) caller: CallerFacts,
    /// What it went up with, where that changes.
    pub(crate) credential: Option<CredentialFacts>,
    /// `None`: a head that could not be read.
    pub(crate) method: Option<Method>,
    /// The path as permitted.
    pub(crate) path: Option<&'static str>,
    /// `None`: nothing was answered.
    pub(crate) status: Option<u16>,
    /// From the head of the request to the end of the answer.
    pub(crate) duration: Duration,
    /// From the head of the request to the head of the upstream's answer.
    pub(crate) first_byte: Option<Duration>,
    /// From the head of the request to the first delta of output.
    pub(crate) first_output: Option<Duration>,
    /// Of the body, as it was sent upstream.
    pub(crate) request_bytes: u64,
    /// Of the body, as it was handed to the caller's connection.
    pub(crate) response_bytes: u64,
    /// What the request asked for, if it stood near the beginning of the body.
    pub(crate) request_model: Option<String>,
    /// The upstream's `x-request-id`.
    pub(crate) upstream_request_id: Option<String>,
    /// The answer is a stream of events.
    pub(crate) is_stream: bool,
    /// What the caller was charged for an answer that did not say what it used, in billionths of a US dollar; `None`
    /// where nobody is charged in dollars.
    pub(crate) estimated_nano_usd: Option<u64>,
    /// What the answer says of itself; `None` if it was not looked at.
    pub(crate) answer: Option<AnswerFacts>,
}

impl Finished {
    /// Whether it was refused before its head was read, or because it could not be.
    pub(crate) fn is_of_unread_head(&self) -> bool {
        self.method.is_none() && matches!(self.outcome, Outcome::Refused { .. })
    }
}

/// Who made it, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallerFacts {
    /// The user at the other end of the connection.
    pub(crate) uid: Option<u32>,
    /// The name of its client token.
    pub(crate) token: Option<Arc<str>>,
}

/// Which credential a request went up with, where credentials change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CredentialFacts {
    /// Where it comes from, such as `file`.
    pub(crate) kind: &'static str,
    /// The first one is 1.
    pub(crate) generation: u64,
}

#[cfg(test)]
impl Finished {
    /// A streamed answer to `POST /v1/responses` of user 1001 with the token `ci`.
    pub(crate) fn for_test() -> Self {
        use crate::inspect::answer::facts::TokenCounts;

        Self {
            number: 17,
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_874_587_123),
            outcome: Outcome::Complete,
            caller: CallerFacts {
                uid: Some(1001),
                token: Some("ci".into()),
            },
            credential: None,
            method: Some(Method::POST),
            path: Some("/v1/responses"),
            status: Some(200),
            duration: Duration::from_micros(3_200_400),
            first_byte: Some(Duration::from_micros(300_000)),
            first_output: Some(Duration::from_micros(410_500)),
            request_bytes: 40_000,
            response_bytes: 5_000,
            request_model: Some("gpt-5.6".to_owned()),
            upstream_request_id: Some("req_1".to_owned()),
            is_stream: true,
            estimated_nano_usd: None,
            answer: Some(AnswerFacts {
                model: Some("gpt-5.6".into()),
                response_id: Some("resp_1".into()),
                service_tier: Some("default".into()),
                usage: Some(TokenCounts {
                    input: 10_100,
                    cached: 8_200,
                    output: 312,
                    reasoning: 64,
                    ..TokenCounts::default()
                }),
                ..AnswerFacts::default()
            }),
        }
    }
}

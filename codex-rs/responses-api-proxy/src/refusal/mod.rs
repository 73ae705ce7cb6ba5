//! Every way the proxy itself says no, in one table: [`Reason`].
//!
//! The body is always shaped like OpenAI's errors, because Codex and the SDKs show `error.message`. A sentence
//! says what was refused and what would be accepted; it never repeats a header or a body, nor the key,
//! whatever an upstream put into the cause of its error ([`printable`]).

mod path_hint;
mod reason;

use std::borrow::Cow;
use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use codex_policy::{Denied, DeniedCode};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Uri};
use serde::Serialize;

use crate::config::paths::RESPONSES;
use crate::observe::observer::Observer;
use crate::observe::outcome::Outcome;
use crate::observe::printable::printable;
use crate::observe::record::{OpenRecord, Record};
use crate::observe::request_id::{REQUEST_ID, RequestId};
use crate::refusal::path_hint::hint;
pub(crate) use crate::refusal::reason::Reason;
use crate::refusal::reason::{Connection, Kind, Retry, Row};

/// Whether to try again, for clients made by OpenAI, which go by it rather than by the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How much of a request target a message repeats, in bytes.
const TARGET_SHOWN: usize = 200;

/// A request that is not answered by the upstream, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    reason: Reason,
    /// For whoever made the request.
    message: Cow<'static, str>,
    /// When the same request will do, in whole seconds; for reasons that pass.
    retry_after: u32,
}

/// Marks an answer as a [`Refusal`], among its extensions: how the request came out that was answered so.
#[derive(Clone, Debug)]
pub(crate) struct Refused(pub(crate) Outcome);

/// With the sentence of the table.
impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            message: reason.row().sentence.into(),
            retry_after: 1,
        }
    }
}

/// Of a request that the policy does not allow.
impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let reason = match denied.code {
            DeniedCode::Model => Reason::ModelNotAllowed,
            DeniedCode::Request => Reason::RequestNotAllowed,
            DeniedCode::Caller => Reason::CallerDenied,
        };
        Self::because(reason, denied.message)
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    message: String,
    r#type: &'a str,
    /// OpenAI names a request parameter here; ours are never about one.
    param: Option<&'a str>,
    code: &'a str,
}

impl Refusal {
    /// With a sentence that says more than the table can.
    pub(crate) fn because(reason: Reason, sentence: String) -> Self {
        Self {
            reason,
            message: sentence.into(),
            retry_after: 1,
        }
    }

    /// Of a reason that passes: after so many seconds.
    pub(crate) fn after(mut self, seconds: u32) -> Self {
        self.retry_after = seconds.max(1);
        self
    }

    /// Of a target that is not the one served, and what its caller probably has to change.
    pub(crate) fn path(method: &Method, uri: &Uri) -> Self {
        let (method, target) = (shown(method.as_str()), shown(&uri.to_string()));
        let mut sentence = format!(
            "{method} {target} is not served here; this proxy forwards only POST {RESPONSES}"
        );
        if let Some(hint) = hint(uri) {
            sentence.push_str(". ");
            sentence.push_str(hint);
        }
        Self::because(Reason::PathNotAllowed, sentence)
    }

    pub(crate) fn method(method: &Method) -> Self {
        let method = shown(method.as_str());
        Self::because(
            Reason::MethodNotAllowed,
            format!("{method} {RESPONSES} is not served here; use POST {RESPONSES}"),
        )
    }

    pub(crate) fn body_too_large(limit: u64) -> Self {
        Self::because(
            Reason::BodyTooLarge,
            format!("the request body is larger than {limit} bytes, the limit set by --max-body"),
        )
    }

    /// How a request came out that is answered so.
    pub(crate) fn outcome(&self) -> Outcome {
        let row = self.reason.row();
        // A target can have a credential in it, which whoever made the request may see, and nobody else.
        let cause = match self.reason {
            Reason::PathNotAllowed => format!("only POST {RESPONSES} is forwarded"),
            _ => printable(&self.message),
        };
        let code = row.code;
        match self.reason {
            Reason::BodyCutShort => Outcome::BodyCut,
            Reason::BodyStalled => Outcome::CallerStalled,
            _ if row.kind == Kind::Upstream => Outcome::UpstreamFailed { code, cause },
            _ => Outcome::Refused { code, cause },
        }
    }

    /// The record of a request of `uid` that is refused so before its head was read.
    pub(crate) fn record(&self, observer: &Observer, uid: Option<u32>) -> OpenRecord {
        let record = OpenRecord::begin(observer, uid, None);
        record.note_status(self.reason.row().status);
        record.conclude(self.outcome());
        record
    }

    #[cfg(test)]
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    fn body(&self) -> Vec<u8> {
        let row = self.reason.row();
        let body = ErrorBody {
            error: ErrorDetail {
                message: printable(&self.message),
                r#type: match row.kind {
                    Kind::Request => "invalid_request_error",
                    Kind::Server => "server_error",
                    Kind::Upstream => "upstream_error",
                },
                param: None,
                code: row.code,
            },
        };
        // Strings and a null cannot fail to serialize.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The whole answer as it stands on the wire, for a head that hyper never saw. The record counts its body.
    pub(crate) fn to_http1(&self, record: &Record) -> Vec<u8> {
        let body = self.body();
        record.count_response_bytes(body.len());
        self.http1(record.id(), body)
    }

    fn http1(&self, id: RequestId, body: Vec<u8>) -> Vec<u8> {
        let Row { status, retry, .. } = self.reason.row();
        let mut head = String::new();
        let _ = write!(
            head,
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             {REQUEST_ID}: {id}\r\nconnection: close\r\n{SHOULD_RETRY}: {}\r\n{}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            body.len(),
            retry != Retry::Never,
            match retry {
                Retry::Later => format!("retry-after: {}\r\n", self.retry_after),
                Retry::Again | Retry::Never => String::new(),
            }
        );
        [head.into_bytes(), body].concat()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let row = self.reason.row();
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = row.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.reason == Reason::Token {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let is_worth_retrying = match row.retry {
            Retry::Never => "false",
            Retry::Later | Retry::Again => "true",
        };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(is_worth_retrying));
        if row.retry == Retry::Later {
            headers.insert(RETRY_AFTER, self.retry_after.into());
        }
        if row.connection == Connection::Closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.reason == Reason::WebSocket {
            // RFC 9110, section 15.5.22: a 426 names what to use instead.
            headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        response.extensions_mut().insert(Refused(self.outcome()));
        response
    }
}

/// At most [`TARGET_SHOWN`] bytes of what a caller sent.
fn shown(text: &str) -> String {
    match text.char_indices().find(|&(at, _)| at >= TARGET_SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;

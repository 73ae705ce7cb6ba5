//! Every way the proxy itself says no: a status, a code, a sentence.
//!
//! The body is always shaped like OpenAI's errors, because Codex and the SDKs
//! show `error.message`. A sentence says what was refused and what would be
//! accepted; it never repeats a header or a body, nor the key, whatever an upstream
//! put into the cause of its fault ([`printable`]).

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde::Serialize;

use crate::access::policy::RESPONSES;
use crate::downstream::connection_limit::LimitReached;
use crate::downstream::head_error::HeadError;
use crate::observe::printable::printable;
use crate::upstream::error::UpstreamError;

/// How much of a request target a message repeats, in bytes.
const TARGET_SHOWN: usize = 200;

/// A request that is not answered by the upstream, and why.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 403: not the one path.
    PathNotAllowed { method: String, target: String },
    /// 403: the one path, but not the one method.
    MethodNotAllowed { method: String },
    /// 403: a `Host` that is not this one, as under DNS rebinding.
    Host,
    /// 403: a request that a web page made a browser send.
    Browser,
    /// 403: a user that was not named with `--allow-user`.
    CallerDenied,
    /// 401: no valid client token.
    Token,
    /// 426: the same path over plain HTTP is what works.
    WebSocket,
    /// 400 or 431: the head cannot be read in exactly one way.
    Head(HeadError),
    /// 413: more body than `--max-body`.
    BodyTooLarge { limit: u64 },
    /// 400: the request body ended before its framing said so.
    BodyCutShort,
    /// 408: the caller stopped sending its body.
    BodyStalled,
    /// 503: as many requests as there may be are in flight.
    TooManyRequests,
    /// 503: as many connections as there may be are busy.
    TooManyConnections,
    /// 429: as many connections as one user may have.
    TooManyOfOneUser,
    /// 503: no new work while answers in flight are finished.
    ShuttingDown,
    /// 502 or 504: the upstream gave no answer.
    Upstream(UpstreamError),
}

/// Marks an answer as a [`Refusal`], among its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

impl From<LimitReached> for Refusal {
    fn from(full: LimitReached) -> Self {
        match full {
            LimitReached::Everywhere => Self::TooManyConnections,
            LimitReached::ForThisUser => Self::TooManyOfOneUser,
        }
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
    pub(crate) fn path(method: &Method, uri: &Uri) -> Self {
        Self::PathNotAllowed {
            method: shown(method.as_str()),
            target: shown(&uri.to_string()),
        }
    }

    pub(crate) fn method(method: &Method) -> Self {
        Self::MethodNotAllowed {
            method: shown(method.as_str()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::PathNotAllowed { .. }
            | Self::MethodNotAllowed { .. }
            | Self::Host
            | Self::Browser
            | Self::CallerDenied => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::WebSocket => StatusCode::UPGRADE_REQUIRED,
            Self::Head(fault) => fault.status(),
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyCutShort => StatusCode::BAD_REQUEST,
            Self::BodyStalled => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests | Self::TooManyConnections | Self::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            // Without retry-after: trying again makes it worse.
            Self::TooManyOfOneUser => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream(fault) => fault.status(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::PathNotAllowed { .. } => "path_not_allowed",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Host => "host_not_allowed",
            Self::Browser => "browser_not_allowed",
            Self::CallerDenied => "caller_not_allowed",
            Self::Token => "client_token_required",
            Self::WebSocket => "websocket_not_supported",
            Self::Head(fault) => fault.code(),
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyCutShort => "body_cut_short",
            Self::BodyStalled => "body_stalled",
            Self::TooManyRequests => "too_many_requests",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyOfOneUser => "too_many_connections_of_user",
            Self::ShuttingDown => "shutting_down",
            Self::Upstream(fault) => fault.code(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream_error",
            Self::TooManyRequests | Self::TooManyConnections | Self::ShuttingDown => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::PathNotAllowed { method, target } => format!(
                "{method} {target} is not served here; this proxy forwards only POST {RESPONSES}"
            ),
            Self::MethodNotAllowed { method } => {
                format!("{method} {RESPONSES} is not served here; use POST {RESPONSES}")
            }
            Self::Host => "the Host header must name this host as 127.0.0.1, [::1] or localhost, \
                 with any port"
                .to_owned(),
            Self::Browser => {
                "requests from browsers are refused: Origin, Sec-Fetch-Site (other than none) and, \
                 for /shutdown, whatever else marks a browser (Sec-Fetch-Site, -User, \
                 -Mode: navigate, -Dest other than empty, Sec-Purpose, Sec-CH-*) must not be sent"
                    .to_owned()
            }
            Self::CallerDenied => {
                "your user may not call this proxy; it was started with --allow-user \
                 or --allow-group for others"
                    .to_owned()
            }
            Self::Token => "a client token of this proxy is required as the API key \
                 (Authorization: Bearer TOKEN)"
                .to_owned(),
            Self::WebSocket => format!(
                "WebSocket is not served here; use POST {RESPONSES} over HTTP \
                 (in Codex: supports_websockets=false)"
            ),
            Self::Head(fault) => fault.to_string(),
            Self::BodyTooLarge { limit } => format!(
                "the request body is larger than {limit} bytes, the limit set by --max-body"
            ),
            Self::BodyCutShort => {
                "the request body ended before its declared length; nothing was sent upstream \
                 as a complete request"
                    .to_owned()
            }
            Self::BodyStalled => {
                "the rest of the request body did not come; nothing was sent upstream as a \
                 complete request"
                    .to_owned()
            }
            Self::TooManyRequests => {
                "as many requests as --max-requests allows are in flight; try again".to_owned()
            }
            Self::TooManyConnections => {
                "as many connections as --max-connections allows are busy; try again".to_owned()
            }
            Self::TooManyOfOneUser => {
                "your user has as many connections as --max-connections-per-user allows; \
                 close some"
                    .to_owned()
            }
            Self::ShuttingDown => {
                "the proxy is shutting down and finishes only what is in flight".to_owned()
            }
            Self::Upstream(fault) => fault.to_string(),
        }
    }

    /// Whether what follows on this connection cannot be another request.
    fn ends_the_connection(&self) -> bool {
        matches!(
            self,
            Self::Head(_)
                // Who may not call at all has no use for a connection.
                | Self::Host
                | Self::Browser
                | Self::CallerDenied
                | Self::Token
                | Self::BodyTooLarge { .. }
                | Self::BodyCutShort
                | Self::BodyStalled
                | Self::TooManyConnections
                | Self::TooManyOfOneUser
                | Self::ShuttingDown
        )
    }

    /// Whether the same request will do a little later.
    fn passes(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests
                | Self::TooManyConnections
                | Self::Head(HeadError::Crowded)
                | Self::Upstream(UpstreamError::Busy)
        )
    }

    fn body(&self) -> Vec<u8> {
        let body = ErrorBody {
            error: ErrorDetail {
                message: printable(&self.message()),
                r#type: self.kind(),
                param: None,
                code: self.code(),
            },
        };
        // Strings and a null cannot fail to serialize.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The whole answer as it stands on the wire, for a head that hyper never saw.
    pub(crate) fn to_http1(&self) -> Vec<u8> {
        let status = self.status();
        let body = self.body();
        let mut head = String::new();
        let _ = write!(
            head,
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n{}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            body.len(),
            if self.passes() {
                "retry-after: 1\r\n"
            } else {
                ""
            }
        );
        [head.into_bytes(), body].concat()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status();
        response.extensions_mut().insert(Refused);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if matches!(self, Self::Token) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.passes() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.ends_the_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::WebSocket) {
            // RFC 9110, section 15.5.22: a 426 names what to use instead.
            headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
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
mod tests {
    use super::*;

    #[test]
    fn the_body_has_openai_s_four_fields() {
        let body: serde_json::Value =
            serde_json::from_slice(&Refusal::BodyTooLarge { limit: 7 }.body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "message": "the request body is larger than 7 bytes, the limit set by --max-body",
                "type": "invalid_request_error",
                "param": null,
                "code": "body_too_large",
            }})
        );
    }

    #[test]
    fn a_long_target_is_cut_and_an_odd_one_stays_json() {
        let uri: Uri = format!("/{}", "a".repeat(5000)).parse().unwrap();
        let Refusal::PathNotAllowed { target, .. } = Refusal::path(&Method::GET, &uri) else {
            panic!("not a path refusal");
        };
        assert_eq!(target.len(), TARGET_SHOWN + 3);
        let uri: Uri = "/\"\\<x>".parse().unwrap_or_default();
        let body = Refusal::path(&Method::GET, &uri).body();
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }

    #[test]
    fn the_raw_form_is_one_complete_http_answer() {
        let raw = Refusal::ShuttingDown.to_http1();
        let text = String::from_utf8(raw).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}

//! Every way the proxy itself says no, in one table: [`Reason`].
//!
//! The body is always shaped like OpenAI's errors, because Codex and the SDKs show `error.message`. A sentence
//! says what was refused and what would be accepted; it never repeats a header or a body, nor the key,
//! whatever an upstream put into the cause of its error ([`printable`]).

use std::borrow::Cow;
use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde::Serialize;

use crate::config::paths::RESPONSES;
use crate::observe::observer::Observer;
use crate::observe::outcome::Outcome;
use crate::observe::printable::printable;
use crate::observe::record::OpenRecord;
use crate::observe::request_id::{REQUEST_ID, RequestId};

/// How much of a request target a message repeats, in bytes.
const TARGET_SHOWN: usize = 200;

/// What is the same of all answers with one reason.
struct Row {
    status: StatusCode,
    code: &'static str,
    kind: Kind,
    connection: Connection,
    retry: Retry,
    /// Empty where only whoever refuses knows it.
    sentence: &'static str,
}

/// The `type` of OpenAI's errors: whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Server,
    Upstream,
}

/// What becomes of the caller's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Stays,
    /// What follows cannot be read as a request, or is of somebody who has no use for a connection.
    Closes,
}

/// Whether the answer has a `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The same request will do a little later.
    Later,
    /// It will not, or trying again makes it worse.
    Never,
}

/// Makes [`Reason`] and its rows out of the table below.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $reason:ident: $status:ident $code:literal $kind:ident $connection:ident $retry:ident $sentence:literal;)+) => {
        /// Why a request is not answered by the upstream.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason { $($(#[$doc])+ $reason,)+ }

        impl Reason {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$reason,)+];

            const fn row(self) -> Row {
                match self {
                    $(Self::$reason => Row {
                        status: StatusCode::$status,
                        code: $code,
                        kind: Kind::$kind,
                        connection: Connection::$connection,
                        retry: Retry::$retry,
                        sentence: $sentence,
                    },)+
                }
            }
        }
    };
}

// docs/operating.md has the same table for users: a test compares them.
reasons! {
    /// Not one of the paths that are served.
    PathNotAllowed: FORBIDDEN "path_not_allowed" Request Stays Never "";
    /// The one path, but not the one method.
    MethodNotAllowed: FORBIDDEN "method_not_allowed" Request Stays Never "";
    /// A `CONNECT`, behind which no request can follow.
    Connect: FORBIDDEN "method_not_allowed" Request Closes Never "";
    /// A `Host` that is not this host, as under DNS rebinding.
    Host: FORBIDDEN "host_not_allowed" Request Closes Never
        "the Host header must name this host as 127.0.0.1, [::1] or localhost, with any port";
    /// A request that a web page made a browser send.
    Browser: FORBIDDEN "browser_not_allowed" Request Closes Never
        "requests from browsers are refused: Origin, Sec-Fetch-Site (other than none) and, for /shutdown and /metrics, \
         whatever else marks a browser (Sec-Fetch-Site, -User, -Mode: navigate, -Dest other than empty, \
         Sec-Purpose, Sec-CH-*) must not be sent";
    /// A user that was not named with `--allow-user`.
    CallerDenied: FORBIDDEN "caller_not_allowed" Request Closes Never
        "your user may not call this proxy; it was started with --allow-user or --allow-group for others";
    /// No valid client token.
    Token: UNAUTHORIZED "client_token_required" Request Closes Never
        "a client token of this proxy is required as the API key (Authorization: Bearer TOKEN)";
    /// The same path over plain HTTP is what works.
    WebSocket: UPGRADE_REQUIRED "websocket_not_supported" Request Stays Never
        "WebSocket is not served here; use POST /v1/responses over HTTP (in Codex: supports_websockets=false)";
    /// A head that cannot be read in exactly one way.
    Head: BAD_REQUEST "bad_request" Request Closes Never "";
    /// A head that is too large to be received, or to be sent on.
    HeadTooLarge: REQUEST_HEADER_FIELDS_TOO_LARGE "headers_too_large" Request Closes Never "";
    /// A head that did not come in time.
    HeadTimeout: REQUEST_TIMEOUT "header_timeout" Request Closes Never "";
    /// More heads at once than there is memory for.
    Overloaded: SERVICE_UNAVAILABLE "overloaded" Server Closes Later "";
    /// More body than `--max-body`.
    BodyTooLarge: PAYLOAD_TOO_LARGE "body_too_large" Request Closes Never "";
    /// The request body ended before its framing said so.
    BodyCutShort: BAD_REQUEST "body_cut_short" Request Closes Never
        "the request body ended before its declared length; nothing was sent upstream as a complete request";
    /// The caller stopped sending its body.
    BodyStalled: REQUEST_TIMEOUT "body_stalled" Request Closes Never
        "the rest of the request body did not come; nothing was sent upstream as a complete request";
    /// As many requests as there may be are in flight.
    TooManyRequests: SERVICE_UNAVAILABLE "too_many_requests" Server Stays Later
        "as many requests as --max-requests allows are in flight; try again";
    /// As many connections as there may be are busy.
    TooManyConnections: SERVICE_UNAVAILABLE "too_many_connections" Server Closes Later
        "as many connections as --max-connections allows are busy; try again";
    /// As many connections as one user may have.
    TooManyOfOneUser: TOO_MANY_REQUESTS "too_many_connections_of_user" Request Closes Never
        "your user has as many connections as --max-connections-per-user allows; close some";
    /// No new work while answers in flight are finished.
    ShuttingDown: SERVICE_UNAVAILABLE "shutting_down" Server Closes Never
        "the proxy is shutting down and finishes only what is in flight";
    /// No record could be kept of it, and records are required.
    AuditUnavailable: SERVICE_UNAVAILABLE "audit_unavailable" Server Stays Later
        "the audit log cannot be written, and this proxy serves nothing without it (--audit-required); ask whoever \
         runs the proxy";
    /// No connection to the upstream, or to the proxy on the way.
    UpstreamConnect: BAD_GATEWAY "upstream_connect" Upstream Stays Never "";
    /// Its name has no address.
    UpstreamDns: BAD_GATEWAY "upstream_dns" Upstream Stays Never "";
    /// No TLS, or a certificate that is not good.
    UpstreamTls: BAD_GATEWAY "upstream_tls" Upstream Stays Never "";
    /// What came back is not HTTP.
    UpstreamProtocol: BAD_GATEWAY "upstream_protocol" Upstream Stays Never "";
    /// The head of its answer is too large.
    UpstreamHeaders: BAD_GATEWAY "upstream_headers" Upstream Stays Never "";
    /// It closed the connection before it answered.
    UpstreamClosed: BAD_GATEWAY "upstream_closed" Upstream Stays Never "";
    /// Nothing of an answer, or of a connection, in time.
    UpstreamTimeout: GATEWAY_TIMEOUT "upstream_timeout" Upstream Stays Never "";
    /// The key would go in cleartext to a user who may not have it.
    UpstreamListener: BAD_GATEWAY "upstream_listener" Upstream Stays Never "";
    /// The caller has as many connections as one may have, and none had room in time.
    UpstreamBusy: SERVICE_UNAVAILABLE "upstream_busy" Upstream Stays Later "";
    /// An answer in a coding, or in parts, that nobody asked for.
    UpstreamCoding: BAD_GATEWAY "upstream_coding" Upstream Stays Never "";
    /// A redirect, which is never followed.
    UpstreamRedirect: BAD_GATEWAY "upstream_redirect" Upstream Stays Never "";
}

impl Reason {
    pub(crate) fn code(self) -> &'static str {
        self.row().code
    }
}

/// A request that is not answered by the upstream, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    reason: Reason,
    /// For whoever made the request.
    message: Cow<'static, str>,
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
    /// With a sentence that says more than the table can.
    pub(crate) fn because(reason: Reason, sentence: String) -> Self {
        Self {
            reason,
            message: sentence.into(),
        }
    }

    pub(crate) fn path(method: &Method, uri: &Uri) -> Self {
        let (method, target) = (shown(method.as_str()), shown(&uri.to_string()));
        Self::because(
            Reason::PathNotAllowed,
            format!(
                "{method} {target} is not served here; this proxy forwards only POST {RESPONSES}"
            ),
        )
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

    /// The whole answer as it stands on the wire, for a head that hyper never saw, to the request of this name.
    pub(crate) fn to_http1(&self, id: RequestId) -> Vec<u8> {
        let Row { status, retry, .. } = self.reason.row();
        let body = self.body();
        let mut head = String::new();
        let _ = write!(
            head,
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             {REQUEST_ID}: {id}\r\nconnection: close\r\n{}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            body.len(),
            match retry {
                Retry::Later => "retry-after: 1\r\n",
                Retry::Never => "",
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
        if row.retry == Retry::Later {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
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

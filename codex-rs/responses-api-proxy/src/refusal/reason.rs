//! The table of reasons: what every answer of ours is like, but for its sentence.

use http::StatusCode;

/// What is the same of all answers with one reason.
pub(super) struct Row {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) kind: Kind,
    pub(super) connection: Connection,
    pub(super) retry: Retry,
    /// Empty where only whoever refuses knows it.
    pub(super) sentence: &'static str,
}

/// The `type` of OpenAI's errors: whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Server,
    Upstream,
}

/// What becomes of the caller's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Stays,
    /// What follows cannot be read as a request, or is of somebody who has no use for a connection.
    Closes,
}

/// Whether the same request may do another time: `x-should-retry`, which OpenAI's own clients go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// A little later, as `Retry-After` says.
    Later,
    /// It may.
    Again,
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
            pub(super) const ALL: &[Self] = &[$(Self::$reason,)+];

            pub(super) const fn row(self) -> Row {
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
    /// A model that the policy does not allow.
    ModelNotAllowed: BAD_REQUEST "model_not_allowed" Request Stays Never "";
    /// A body that is not what the policy allows, or that cannot be read in exactly one way.
    RequestNotAllowed: BAD_REQUEST "request_not_allowed" Request Stays Never "";
    /// A limit of the policy is spent, and waiting does not cure that soon.
    BudgetExceeded: BAD_REQUEST "budget_exceeded" Request Stays Never "";
    /// A limit of the policy is spent that waiting cures.
    RateLimited: TOO_MANY_REQUESTS "rate_limited" Request Stays Later "";
    /// There is a limit in dollars, and no price.
    PriceUnknown: BAD_REQUEST "price_unknown" Request Stays Never "";
    /// A body that cannot be looked into.
    ContentEncoding: UNSUPPORTED_MEDIA_TYPE "content_encoding_not_supported" Request Stays Never "";
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
    ShuttingDown: SERVICE_UNAVAILABLE "shutting_down" Server Closes Later
        "the proxy is shutting down and finishes only what is in flight";
    /// No record could be kept of it, and records are required.
    AuditUnavailable: SERVICE_UNAVAILABLE "audit_unavailable" Server Stays Later
        "the audit log cannot be written, and this proxy serves nothing without it (--audit-required); ask whoever \
         runs the proxy";
    /// No connection to the upstream, or to the proxy on the way.
    UpstreamConnect: BAD_GATEWAY "upstream_connect" Upstream Stays Again "";
    /// Its name has no address.
    UpstreamDns: BAD_GATEWAY "upstream_dns" Upstream Stays Again "";
    /// No TLS, or a certificate that is not good.
    UpstreamTls: BAD_GATEWAY "upstream_tls" Upstream Stays Never "";
    /// What came back is not HTTP.
    UpstreamProtocol: BAD_GATEWAY "upstream_protocol" Upstream Stays Never "";
    /// The head of its answer is too large.
    UpstreamHeaders: BAD_GATEWAY "upstream_headers" Upstream Stays Never "";
    /// It closed the connection before it answered.
    UpstreamClosed: BAD_GATEWAY "upstream_closed" Upstream Stays Again "";
    /// Nothing of an answer, or of a connection, in time.
    UpstreamTimeout: GATEWAY_TIMEOUT "upstream_timeout" Upstream Stays Again "";
    /// The key would go in cleartext to a user who may not have it.
    UpstreamListener: BAD_GATEWAY "upstream_listener" Upstream Stays Never "";
    /// No credential is in force, and none could be had.
    CredentialUnavailable: BAD_GATEWAY "credential_unavailable" Upstream Stays Again "";
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

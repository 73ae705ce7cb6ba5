//! Every way an upstream can fail, by name.
//!
//! A fault is found by walking an error's causes and asking each what it is;
//! words are never matched. The sentence keeps the innermost cause, which is
//! the one that tells an operator what to do. Some causes repeat what the upstream
//! sent, and callers read these sentences: they show an [`excerpt`].

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::credential::generation::Unavailable;
use crate::observe::printable::excerpt;
use crate::refusal::{Reason, Refusal};
use crate::upstream::{CONNECT_TIMEOUT, ResolveError, TunnelError};

/// What went wrong between here and the upstream.
#[derive(Clone, Debug)]
pub(crate) enum UpstreamError {
    /// No connection: refused, unreachable, or a proxy on the way said no.
    Connect(String),
    /// The name has no address.
    Dns(String),
    /// TLS could not be agreed on, or the certificate is not good.
    Tls(String),
    /// What came back is not HTTP.
    Protocol(String),
    /// An answer with a head too large, or too many headers.
    Headers,
    /// The connection ended before the answer was whole.
    Closed(String),
    /// No connection within the time allowed for one.
    ConnectTimeout,
    /// Connected, but no answer began in time.
    Timeout(Duration),
    /// For so long nothing of the request's body could be sent.
    Untaken(Duration),
    /// The proxy on the way, named in the environment, opened no way to the upstream.
    Proxy {
        /// Its host and port.
        at: String,
        cause: String,
        /// Not within the time allowed for a connection.
        is_late: bool,
    },
    /// The listener where the key would go in cleartext is that of a user who may not have it.
    Listener { at: String, user: u32 },
    /// The caller has as many connections as one may have, and none had room in time.
    Busy,
    /// An answer in a coding, or in parts, that nobody asked for.
    Coding(String),
    /// There is no credential in force to send a request with.
    Credential(Unavailable),
    /// A redirect, which is never followed: the key goes to one origin only.
    Redirect { status: StatusCode, origin: String },
}

impl UpstreamError {
    /// Names what kept a connection from coming about: an error of the connector or of TLS.
    pub(crate) fn from_connect(error: &(dyn Error + 'static)) -> Self {
        let causes = chain(error);
        let innermost = innermost(&causes);
        if causes.iter().any(|cause| cause.is::<ResolveError>()) {
            return Self::Dns(innermost);
        }
        if let Some(tls) = causes.iter().find_map(|&cause| tls_cause(cause)) {
            return Self::Tls(tls.to_string());
        }
        let timed_out = |cause: &&(dyn Error + 'static)| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        if causes.iter().any(timed_out) {
            return Self::ConnectTimeout;
        }
        Self::Connect(innermost)
    }

    /// The same, of a connection to the proxy on the way; `at` is its host and port, and the variable that names it.
    pub(crate) fn of_proxy(self, at: &str) -> Self {
        let is_late = matches!(self, Self::ConnectTimeout);
        let cause = match self {
            Self::Connect(cause) => format!("no connection to the proxy: {cause}"),
            Self::Dns(cause) => format!("its name has no address: {cause}"),
            Self::Tls(cause) => format!("no TLS connection to the proxy: {cause}"),
            Self::ConnectTimeout => format!("it did not answer within {CONNECT_TIMEOUT:?}"),
            other => other.to_string(),
        };
        Self::Proxy {
            at: at.to_owned(),
            cause,
            is_late,
        }
    }

    /// Names what a CONNECT to the proxy came to; `at` as for [`of_proxy`](Self::of_proxy).
    pub(crate) fn from_tunnel(error: &TunnelError, at: &str) -> Self {
        let cause = match error {
            TunnelError::Broken(_) => format!("{error}: {}", innermost(&chain(error))),
            TunnelError::Refused(_) | TunnelError::Target => error.to_string(),
        };
        Self::Proxy {
            at: at.to_owned(),
            cause,
            is_late: false,
        }
    }

    /// What failed behind the proxy, which had said that the way was open; `at` as for
    /// [`of_proxy`](Self::of_proxy).
    pub(crate) fn behind_proxy(self, at: &str) -> Self {
        let behind = |cause| format!("(through the proxy {at}) {cause}");
        match self {
            Self::Connect(cause) => Self::Connect(behind(cause)),
            Self::Tls(cause) => Self::Tls(behind(cause)),
            other => other,
        }
    }

    /// Names what hyper reports of a request or an answer.
    pub(crate) fn from_error(error: &hyper::Error) -> Self {
        let causes = chain(error);
        let innermost = innermost(&causes);
        if let Some(tls) = causes.iter().find_map(|&cause| tls_cause(cause)) {
            return Self::Tls(tls.to_string());
        }
        if error.is_parse_too_large() {
            return Self::Headers;
        }
        let closed = error.is_incomplete_message()
            || error.is_closed()
            || error.is_canceled()
            || causes.iter().any(|&cause| is_broken_off(cause));
        if closed {
            Self::Closed(innermost)
        } else {
            Self::Protocol(innermost)
        }
    }

    /// What a caller is answered with.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Connect(_) | Self::Proxy { is_late: false, .. } => Reason::UpstreamConnect,
            Self::Dns(_) => Reason::UpstreamDns,
            Self::Tls(_) => Reason::UpstreamTls,
            Self::Protocol(_) => Reason::UpstreamProtocol,
            Self::Headers => Reason::UpstreamHeaders,
            Self::Closed(_) => Reason::UpstreamClosed,
            Self::ConnectTimeout
            | Self::Timeout(_)
            | Self::Untaken(_)
            | Self::Proxy { is_late: true, .. } => Reason::UpstreamTimeout,
            Self::Listener { .. } => Reason::UpstreamListener,
            Self::Busy => Reason::UpstreamBusy,
            Self::Coding(_) => Reason::UpstreamCoding,
            Self::Credential(_) => Reason::CredentialUnavailable,
            Self::Redirect { .. } => Reason::UpstreamRedirect,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(cause) => {
                write!(f, "could not connect to the upstream: {}", excerpt(cause))
            }
            Self::Dns(cause) => {
                write!(f, "the upstream's name has no address: {}", excerpt(cause))
            }
            Self::Tls(cause) => write!(f, "no TLS connection to the upstream: {}", excerpt(cause)),
            Self::Protocol(cause) => {
                write!(f, "the upstream did not answer in HTTP: {}", excerpt(cause))
            }
            Self::Headers => f.write_str(
                "the upstream answered with more headers than are accepted (256, or 256 KiB)",
            ),
            Self::Closed(cause) => {
                let cause = excerpt(cause);
                write!(f, "the upstream closed the connection too early: {cause}")
            }
            Self::ConnectTimeout => f.write_str("no connection to the upstream in time"),
            Self::Timeout(limit) => {
                write!(f, "the upstream did not begin to answer within {limit:?}")
            }
            Self::Untaken(limit) => {
                write!(
                    f,
                    "the upstream took nothing of the request body for {limit:?}"
                )
            }
            Self::Proxy { at, cause, .. } => write!(
                f,
                "the proxy {} opened no way to the upstream; {}",
                excerpt(at),
                excerpt(cause)
            ),
            Self::Listener { at, user } => write!(
                f,
                "the listener at {at} belongs to user {user}, and the key goes in cleartext only to \
                 root's, to the proxy's own user's and to that of --upstream-user"
            ),
            Self::Busy => f.write_str(
                "all connections to the upstream that one caller may have are in use; try again",
            ),
            Self::Coding(form) => write!(
                f,
                "the upstream answered in a form that it was not asked for ({}); only an answer \
                 without a coding, and whole, is passed on",
                excerpt(form)
            ),
            Self::Credential(cause) => write!(
                f,
                "there is no credential to call the upstream with: {}",
                excerpt(&cause.0)
            ),
            Self::Redirect { status, origin } => write!(
                f,
                "the upstream answered {} with a redirect to {}; redirects are never \
                 followed, set --upstream-url to where requests should go",
                status.as_u16(),
                excerpt(origin)
            ),
        }
    }
}

impl Error for UpstreamError {}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self::because(error.reason(), error.to_string())
    }
}

/// An error and all its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source()).collect()
}

/// What the last cause says, which is the one that tells an operator what to do.
fn innermost(causes: &[&(dyn Error + 'static)]) -> String {
    let http_2 = causes.iter().find(|cause| cause.is::<h2::Error>());
    let cause = http_2.or_else(|| causes.last());
    cause.map_or_else(|| "no cause given".to_owned(), |&cause| told(cause))
}

/// A cause in words that are not the upstream's, as far as it is known which are.
fn told(cause: &(dyn Error + 'static)) -> String {
    let Some(error) = cause.downcast_ref::<h2::Error>() else {
        return cause.to_string();
    };
    // Its own text has the debug data of a GOAWAY in it (RFC 9113, section 6.8).
    match error.reason() {
        Some(reason) if error.is_go_away() => format!("HTTP/2 GOAWAY, {reason}"),
        Some(reason) if error.is_reset() => format!("HTTP/2 stream reset, {reason}"),
        Some(reason) => format!("HTTP/2, {reason}"),
        None => cause.to_string(),
    }
}

/// rustls reports through an `io::Error`, sometimes inside another one, whose
/// `source` skips over what it wraps.
fn tls_cause<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref::<rustls::Error>().or_else(|| {
        let wrapped = cause.downcast_ref::<io::Error>()?.get_ref()?;
        tls_cause(wrapped)
    })
}

/// The connection, or one HTTP/2 stream of it, ended by the other side's will or
/// by the network's.
fn is_broken_off(cause: &(dyn Error + 'static)) -> bool {
    let ended = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut
        )
    };
    cause.downcast_ref::<io::Error>().is_some_and(ended)
        || cause.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_remote() && (error.is_reset() || error.is_go_away())
                || error.get_io().is_some_and(ended)
        })
}

//! Every way a request can go wrong, and which of them are worth another attempt.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use codex_server_info::ProxyGone;
use reqwest::StatusCode;

use crate::events::answer::AnswerError;
use crate::events::server_error::ServerError;
use crate::events::stream::TooLarge;
use crate::terminal::printable::excerpt;
use crate::transport::retry::{LONGEST_ASKED, try_again_in};

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No answer began: connecting or sending failed.
    Send {
        to: String,
        cause: String,
        hint: Option<String>,
        /// Whether it may be otherwise in a moment: not so a certificate, or a server that speaks
        /// something else.
        is_passing: bool,
    },
    /// The server answered with something else than success.
    Status {
        from: String,
        status: StatusCode,
        error: ServerError,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
        /// What the server says itself of another attempt (`x-should-retry`).
        should_retry: Option<bool>,
    },
    /// A redirect, which is not followed: the credential is for one origin.
    Redirect {
        from: String,
        to: String,
    },
    /// An answer that is not an event stream.
    NotEvents {
        from: String,
        content_type: String,
    },
    /// An answer that is not a list of models.
    NotModels {
        from: String,
    },
    /// An answer in a form that was not asked for, such as gzip.
    Encoded {
        from: String,
        encoding: String,
    },
    /// A success without anything in it.
    NoContent {
        from: String,
        status: StatusCode,
    },
    /// The connection ended, or broke, before the answer did.
    Cut(String),
    /// Nothing came for that long.
    Idle(Duration),
    TooLarge(TooLarge),
    Answer(AnswerError),
    /// The conversation could not be made into a request.
    Request(serde_json::Error),
    /// The proxy that a server info names is not there any more.
    Gone(ProxyGone),
    /// Standard output could not be written to.
    Output(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send {
                to, cause, hint, ..
            } => {
                write!(f, "could not reach {to}: {cause}")?;
                hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
            }
            Self::Status {
                from,
                status,
                error,
                retry_after,
                ..
            } => {
                write!(f, "{from} answered {status}: {error}")?;
                match retry_after {
                    Some(asked) if *asked > LONGEST_ASKED => write!(
                        f,
                        "; it asks to be left alone for {} s, which is too long to wait here",
                        asked.as_secs()
                    ),
                    _ => Ok(()),
                }
            }
            Self::Redirect { from, to } => write!(
                f,
                "{from} redirects to {to}, and redirects are not followed, because the credential \
                 is for one place; if that is the right one, put it into base_url"
            ),
            Self::NotEvents { from, content_type } => write!(
                f,
                "{from} answered with {content_type} instead of an event stream; does base_url \
                 lead to a Responses API?"
            ),
            Self::NotModels { from } => write!(
                f,
                "{from} answered with something other than a list of models; does base_url lead to an API that has one?"
            ),
            Self::Encoded { from, encoding } => write!(
                f,
                "{from} answered with content-encoding {encoding}, which was not asked for and is \
                 not decoded here"
            ),
            Self::NoContent { from, status } => {
                write!(
                    f,
                    "{from} answered {status}, and without content there is no answer"
                )
            }
            Self::Cut(cause) => write!(f, "the answer was cut short: {cause}"),
            Self::Idle(time) => write!(
                f,
                "the server was silent for {} (stream_idle_timeout_ms)",
                seconds(*time)
            ),
            Self::TooLarge(cause) => cause.fmt(f),
            Self::Answer(cause) => cause.fmt(f),
            Self::Request(cause) => write!(f, "could not write the request: {cause}"),
            Self::Gone(cause) if cause.is_unknown() => write!(
                f,
                "{cause}; if it is, name its address with -c \
                 model_providers.local-proxy.base_url=URL"
            ),
            Self::Gone(cause) => cause.fmt(f),
            Self::Output(cause) => write!(f, "could not write the answer: {cause}"),
        }
    }
}

impl Error for Fault {}

/// What another attempt is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// There was no server, or it failed, before an answer (`request_max_retries`).
    Request,
    /// The server asked for patience, or an answer failed (`stream_max_retries`).
    Stream,
}

impl Fault {
    /// The same, of another place than that of the client: where it was asked.
    #[must_use]
    pub(crate) fn said_of(mut self, place: String) -> Self {
        match &mut self {
            Self::Send { to: said, .. }
            | Self::Status { from: said, .. }
            | Self::Redirect { from: said, .. }
            | Self::NotEvents { from: said, .. }
            | Self::NotModels { from: said }
            | Self::Encoded { from: said, .. }
            | Self::NoContent { from: said, .. } => *said = place,
            Self::Cut(_)
            | Self::Idle(_)
            | Self::TooLarge(_)
            | Self::Answer(_)
            | Self::Request(_)
            | Self::Gone(_)
            | Self::Output(_) => {}
        }
        self
    }

    /// Whether the same request may well succeed in a moment, and what the attempt is counted as. That nothing
    /// has been shown yet is for the caller to know.
    pub(crate) fn retry(&self) -> Option<Retry> {
        match self {
            Self::Send { is_passing, .. } => is_passing.then_some(Retry::Request),
            Self::Status {
                status,
                error,
                should_retry,
                ..
            } => {
                let is_passing = match should_retry {
                    Some(should_retry) => *should_retry,
                    None if error.is_final() => false,
                    // As in Codex: where nothing says when, the same is said again in a moment.
                    None if *status == StatusCode::TOO_MANY_REQUESTS => self.asked_wait().is_some(),
                    None => {
                        let others = [StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT];
                        status.is_server_error() || others.contains(status)
                    }
                };
                is_passing.then_some(if status.is_server_error() {
                    Retry::Request
                } else {
                    Retry::Stream
                })
            }
            Self::Cut(_) | Self::Idle(_) | Self::Answer(AnswerError::Cancelled) => {
                Some(Retry::Stream)
            }
            Self::Answer(AnswerError::Failed(error)) => {
                (!error.is_final()).then_some(Retry::Stream)
            }
            _ => None,
        }
    }

    /// How long the server asks to be left alone: in a header, or in its words.
    pub(crate) fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Status {
                retry_after: Some(asked),
                ..
            } => Some(*asked),
            Self::Status { error, .. } | Self::Answer(AnswerError::Failed(error)) => {
                try_again_in(error.message.as_deref()?)
            }
            _ => None,
        }
    }

    /// Whether nobody reads what is written any more: no fault of anybody.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// How much is shown of a cause, which may have a server's text in it, in characters.
const MAX_CAUSE: usize = 300;

/// The innermost cause, which says what happened; the layers above it only say where.
pub(crate) fn root(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        // The text of one has the debug data of a GOAWAY in it (RFC 9113, section 6.8).
        if let Some(reason) = cause.downcast_ref().and_then(of_http_2) {
            return reason;
        }
        innermost = cause;
    }
    excerpt(&innermost.to_string(), MAX_CAUSE)
}

/// Why a server ended an HTTP/2 stream or connection, in the protocol's words.
fn of_http_2(error: &h2::Error) -> Option<String> {
    let what = if error.is_go_away() {
        "HTTP/2 GOAWAY"
    } else if error.is_reset() {
        "HTTP/2 stream reset"
    } else {
        "HTTP/2"
    };
    error.reason().map(|reason| format!("{what}, {reason}"))
}

/// A time for people.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

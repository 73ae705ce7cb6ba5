//! Every way an exchange can fail: which step, and why. Nothing of a token is in any of it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use codex_outbound::environment::EnvironmentError;
use codex_outbound::tls_roots::NoRoots;
use http::StatusCode;

use crate::config::workload::SubjectSource;
use crate::upstream::UpstreamSetupError;

/// Why there is no way to a server that gives tokens.
#[derive(Debug)]
pub(crate) enum WorkloadSetupError {
    NoRoots(NoRoots),
    Environment(EnvironmentError),
    Route(UpstreamSetupError),
}

impl fmt::Display for WorkloadSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots(cause) => cause.fmt(f),
            Self::Environment(error) => error.fmt(f),
            Self::Route(UpstreamSetupError::Url) => f.write_str(
                "--token-exchange-url or --github-oidc-request-url cannot be written as an HTTP request target",
            ),
            Self::Route(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorkloadSetupError {}

/// Which step of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    GitHub,
    File,
    Azure,
    Google,
    /// The subject token is there, and exchanged for an access token.
    Exchange,
}

impl Step {
    /// The one that gets the subject token.
    pub(super) fn of(source: &SubjectSource) -> Self {
        match source {
            SubjectSource::GitHub(_) => Self::GitHub,
            SubjectSource::File(_) => Self::File,
            SubjectSource::Azure(_) => Self::Azure,
            SubjectSource::Google(_) => Self::Google,
        }
    }

    /// What to look at when this step is refused.
    fn advice(self) -> &'static str {
        match self {
            Self::GitHub => {
                "the job needs `permissions: id-token: write`, and standard input its \
                 ACTIONS_ID_TOKEN_REQUEST_TOKEN; both are good until the job ends"
            }
            Self::File => "",
            Self::Azure => {
                "the machine needs a managed identity; if it has several, name one with --azure-client-id"
            }
            Self::Google => "the machine or pod needs a service account",
            Self::Exchange => {
                "check --identity-provider-id, --service-account-id and the provider's mapping"
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "the GitHub OIDC token request",
            Self::File => "--identity-token-file",
            Self::Azure => "the Azure metadata request",
            Self::Google => "the Google metadata request",
            Self::Exchange => "the token exchange",
        })
    }
}

/// Why a step failed. What a server said is short, printable and without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection, or it broke.
    Unreachable(String),
    /// Not all of a reply in this time.
    Timeout(Duration),
    /// A redirect, to this origin; it is not followed.
    Redirect(StatusCode, String),
    /// A body of more bytes than these.
    TooLarge(usize),
    /// 400, 401 or 403, and what was said about it.
    Refused(StatusCode, String),
    /// Another status, and what was said about it.
    Status(StatusCode, String),
    /// The reply is not a JSON object.
    NotAnObject,
    /// It lacks this member.
    Missing(&'static str),
    /// This member, and what is wrong with it.
    Malformed(&'static str, &'static str),
    /// It was not Google's metadata server that answered.
    NotGoogle,
    /// The file cannot be read.
    File(String),
    /// The request cannot be written.
    Request,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |f: &mut fmt::Formatter<'_>, said: &String| match said.as_str() {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        };
        match self {
            Self::Unreachable(cause) => f.write_str(cause),
            Self::Timeout(limit) => write!(f, "no reply within {limit:?}"),
            Self::Redirect(status, origin) => write!(
                f,
                "answered {} with a redirect to {origin}; redirects are not followed",
                status.as_u16()
            ),
            Self::TooLarge(most) => write!(f, "the reply is longer than {} KiB", most / 1024),
            Self::Refused(status, text) => {
                write!(f, "refused with {}", status.as_u16())?;
                said(f, text)
            }
            Self::Status(status, text) => {
                write!(f, "answered {}", status.as_u16())?;
                said(f, text)
            }
            Self::NotAnObject => f.write_str("the reply is not a JSON object"),
            Self::Missing(member) => write!(f, "the reply has no {member}"),
            Self::Malformed(member, what) => write!(f, "{member} {what}"),
            Self::NotGoogle => f.write_str(
                "the reply lacks `Metadata-Flavor: Google`, so it is not that of the metadata server",
            ),
            Self::File(cause) => f.write_str(cause),
            Self::Request => f.write_str("the request cannot be written"),
        }
    }
}

/// Which step failed, with whom, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeError {
    step: Step,
    /// Host and port, or the file.
    at: String,
    fault: Fault,
}

impl ExchangeError {
    pub(super) fn new(step: Step, at: String, fault: Fault) -> Self {
        Self { step, at, fault }
    }

    pub(super) fn of_file(path: &Path, fault: Fault) -> Self {
        Self::new(Step::File, path.display().to_string(), fault)
    }

    /// Whether the identity, or how it was configured, was refused (400, 401, 403): the same request will hardly fare
    /// better. Everything else may pass.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.fault, Fault::Refused(..))
    }

    /// Which step failed.
    #[cfg(test)]
    pub(crate) fn step(&self) -> Step {
        self.step
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::File => write!(f, "{} {}: {}", self.step, self.at, self.fault)?,
            step => write!(f, "{step} at {}: {}", self.at, self.fault)?,
        }
        match self.step.advice() {
            advice if self.is_refusal() && !advice.is_empty() => write!(f, " ({advice})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ExchangeError {}

//! How a run ends, and what its exit code says of it.

use std::fmt;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::config::schema::SchemaError;
use crate::prompt::error::PromptError;
use crate::terminal::signals::Signal;
use crate::transport::error::Fault;
use crate::transport::http_client::ClientError;

/// Why a run ended before its time.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What was typed cannot work.
    Usage(String),
    Failed(String),
    Signal(Signal),
    /// Nobody reads any more; that is not a failure.
    OutputClosed,
}

impl Stop {
    /// What is to be said about it.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message),
            Self::Signal(_) | Self::OutputClosed => None,
        }
    }

    /// What whoever reads events is told of it.
    pub(crate) fn event(&self) -> Option<&str> {
        match self {
            Self::Signal(Signal::Interrupt) => Some("interrupted"),
            Self::Signal(Signal::Terminate) => Some("terminated"),
            _ => self.message(),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Signal(signal) => ExitCode::from(signal.exit_code()),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }

    fn of(is_usage: bool, error: &impl fmt::Display) -> Self {
        if is_usage {
            Self::Usage(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}

impl From<ConfigError> for Stop {
    fn from(error: ConfigError) -> Self {
        Self::of(error.is_usage(), &error)
    }
}

impl From<PromptError> for Stop {
    fn from(error: PromptError) -> Self {
        Self::of(error.is_usage(), &error)
    }
}

impl From<SchemaError> for Stop {
    fn from(error: SchemaError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        if fault.is_closed_output() {
            Self::OutputClosed
        } else {
            Self::Failed(fault.to_string())
        }
    }
}

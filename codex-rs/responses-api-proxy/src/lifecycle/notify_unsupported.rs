//! Where there is no service manager that listens at a Unix socket, nobody is told anything.

use std::fmt;
use std::time::Duration;

use crate::config::environment::{self, NOTIFY_SOCKET};

/// `NOTIFY_SOCKET` is set, and cannot be reached.
#[derive(Debug)]
pub(crate) struct NotifyError;

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{NOTIFY_SOCKET}: there are no such sockets on this system; unset it"
        )
    }
}

impl std::error::Error for NotifyError {}

/// Whoever is told: nobody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier;

impl Notifier {
    pub(crate) fn from_environment() -> Result<Self, NotifyError> {
        match environment::path(NOTIFY_SOCKET) {
            None => Ok(Self),
            Some(_) => Err(NotifyError),
        }
    }

    pub(crate) fn is_heard(&self) -> bool {
        false
    }

    pub(crate) fn ready(&self) {}

    pub(crate) fn stopping(&self, _drain: Duration) {}

    pub(crate) fn watchdog(&self) {}

    pub(crate) fn status(&self, _line: &str) {}
}

pub(crate) fn watchdog_interval() -> Result<Option<Duration>, NotifyError> {
    Ok(None)
}

//! Where there are no Unix sockets, no proxy is asked; the attempt says so.

use std::path::Path;
use std::time::Duration;

use crate::error::ControlError;
use crate::protocol::Stopping;
use crate::status::Status;

/// How long an answer may take.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a proxy; there is none here.
#[derive(Debug)]
pub(crate) enum Connection {}

impl Connection {
    pub(crate) fn open(_: &Path, _: Duration) -> Result<Self, ControlError> {
        Err(ControlError::Unsupported)
    }

    pub(crate) fn status(&mut self, _: bool) -> Result<Status, ControlError> {
        match *self {}
    }

    pub(crate) fn stop(&mut self) -> Result<Stopping, ControlError> {
        match *self {}
    }

    pub(crate) fn closed_within(&mut self, _: Duration) -> bool {
        match *self {}
    }
}

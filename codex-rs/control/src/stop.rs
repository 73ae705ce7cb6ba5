//! Tells a proxy to end, and waits until it has.

use std::path::Path;
use std::time::Duration;

use crate::connection::{ANSWER_TIMEOUT, Connection};
use crate::error::ControlError;
use crate::process::Process;

/// How a proxy has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    pub(crate) pid: u32,
    /// Answers that were in flight when it was told.
    pub(crate) in_flight: u64,
}

/// Ends the proxy with this control socket; waits so long at most for the end of its process.
///
/// # Errors
///
/// There is none, it refuses, or it has not ended in time.
pub(crate) fn stop(socket: &Path, timeout: Duration) -> Result<Stopped, ControlError> {
    // The first connection may be what a proxy is started by (socket activation), and the kernel names who listened
    // when it was made. A proxy that answers listens itself.
    Connection::open(socket, ANSWER_TIMEOUT)?.status(false)?;
    let mut connection = Connection::open(socket, ANSWER_TIMEOUT)?;
    let status = connection.status(false)?;
    // Before it is told: afterwards its number may be another one's.
    let process = Process::behind(&connection, status.pid)
        .map_err(|(pid, error)| ControlError::Process(pid, error))?
        .ok_or_else(|| ControlError::NobodyListens(socket.to_owned()))?;
    let stopping = connection.stop()?;
    let pid = process.pid();
    let ended = process.ended_within(&mut connection, timeout);
    if !ended.map_err(|error| ControlError::Process(pid, error))? {
        return Err(ControlError::StillRuns {
            pid,
            waited: timeout,
            in_flight: stopping.in_flight,
        });
    }
    Ok(Stopped {
        pid,
        in_flight: stopping.in_flight,
    })
}

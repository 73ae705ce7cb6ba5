//! `status`, `top`, `wait` and `stop`: what they do is in `codex-control`; here is how they end.

use std::process::ExitCode;

use codex_control::ControlCommand;

use crate::observe::stderr;

/// No proxy runs there: as `status` of an init script says it (Linux Standard Base, section 22.2).
const NOT_RUNNING: u8 = 3;

/// # Errors
///
/// Whatever else than that no proxy runs.
pub(crate) fn run(command: &ControlCommand) -> anyhow::Result<ExitCode> {
    match codex_control::run(command) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is_not_running() => {
            stderr::line(error);
            Ok(ExitCode::from(NOT_RUNNING))
        }
        Err(error) => Err(error.into()),
    }
}

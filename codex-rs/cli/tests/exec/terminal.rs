//! Programs on a pseudo-terminal of their own.

use std::process::Command;

use codex_test_support::WAIT_TIMEOUT;
use rexpect::session::{PtySession, spawn_command};

use crate::{CODEX, Run};

/// What the line editor shows when it waits for a line.
pub(crate) const PROMPT: &str = "> ";

/// `codex` on a pseudo-terminal, with the arguments and the environment of a run.
pub(crate) fn on_a_terminal(run: &Run) -> PtySession {
    let mut command = Command::new(CODEX);
    command.args(&run.args).env_clear().env("TERM", "xterm");
    for (name, value) in &run.env {
        command.env(name, value);
    }
    let timeout = u64::try_from(WAIT_TIMEOUT.as_millis()).ok();
    spawn_command(command, timeout).unwrap()
}

/// A shell on a pseudo-terminal, with the environment of a run.
pub(crate) fn shell_on_a_terminal(run: &Run, script: &str) -> PtySession {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .env_clear()
        .env("TERM", "xterm");
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in &run.env {
        command.env(name, value);
    }
    let timeout = u64::try_from(WAIT_TIMEOUT.as_millis()).ok();
    spawn_command(command, timeout).unwrap()
}

#[track_caller]
pub(crate) fn leaves_with(mut terminal: PtySession, code: i32) -> String {
    let rest = terminal.exp_eof().unwrap();
    let status = terminal.process().wait().unwrap();
    assert!(
        format!("{status:?}").ends_with(&format!(", {code})")),
        "{status:?}"
    );
    rest
}

/// As rexpect sees it: it takes each byte for a character.
pub(crate) fn as_seen(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

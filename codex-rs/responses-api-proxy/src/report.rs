//! The one place that writes to standard error.
//!
//! Standard error that is closed, or a pipe that nobody reads, must not stop the
//! proxy: a line that cannot be written at once is dropped. Nothing that is
//! written here may hold a header, a body or a credential.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use codex_process_hardening::stderr_has_room;

/// The longest line, in bytes: what a pipe with room is sure to take at once (pipe(7)).
const LONGEST: usize = 4096;

/// Between the look whether there is room and the write, nobody else may fill it.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes one line, or drops it.
pub(crate) fn line(text: impl fmt::Display) {
    let mut line = text.to_string().into_bytes();
    line.truncate(LONGEST - 1);
    line.push(b'\n');
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    if stderr_has_room() {
        let _ = std::io::stderr().write_all(&line);
    }
}

/// The last line of a run that failed: what failed, then its causes.
pub fn failure(error: &anyhow::Error) {
    line(format_args!("Error: {error:#}"));
}

/// Panics are reported by their place in the source alone: a message may hold
/// whatever was being worked on.
pub(crate) fn panics_without_payload() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        line(format_args!("internal error at {place}"));
    }));
}

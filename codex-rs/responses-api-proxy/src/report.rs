//! The one place that writes to standard error.
//!
//! A closed or full standard error must not stop the proxy, so failures to
//! write are ignored. Nothing that is written here may hold a header, a body
//! or a credential.

use std::fmt;
use std::io::Write;

/// Writes one line.
pub(crate) fn line(text: impl fmt::Display) {
    let mut line = text.to_string();
    line.push('\n');
    // One write, so that lines of several threads do not mix.
    let _ = std::io::stderr().write_all(line.as_bytes());
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

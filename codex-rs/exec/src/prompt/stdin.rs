//! What is piped into standard input.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use crate::prompt::error::PromptError;
use crate::prompt::text::{Decoded, decode};

/// The most that is read from standard input, in bytes: a proxy lets 64 MiB pass in all.
pub(crate) const MAX_TEXT: u64 = 16 << 20;
/// How long standard input may be silent before that is mentioned.
const SILENCE: Duration = Duration::from_secs(2);

/// Whether standard input is a terminal.
#[allow(clippy::disallowed_methods, reason = "only looked at")]
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Reads it to its end; `says_so` after a while of silence.
///
/// # Errors
///
/// [`PromptError`]: it cannot be read, is too long, or is not text.
pub(crate) fn read_stdin(says_so: bool) -> Result<Decoded, PromptError> {
    let (done, waiting) = mpsc::channel();
    if says_so {
        // A pipe that nobody closes would otherwise look like a hang.
        std::thread::spawn(move || {
            if waiting.recv_timeout(SILENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let note = b"waiting for the end of standard input, which goes along as context \
                             (</dev/null for none)\n";
                let _ = io::stderr().write_all(note);
            }
        });
    }
    let mut bytes = Vec::new();
    #[allow(clippy::disallowed_methods, reason = "a prompt is not a key")]
    let stdin = io::stdin().lock();
    let read = stdin.take(MAX_TEXT + 1).read_to_end(&mut bytes);
    let _ = done.send(());
    match read {
        Ok(length) if length as u64 > MAX_TEXT => Err(PromptError::StdinTooLong),
        Ok(_) => decode(bytes).ok_or(PromptError::StdinNotText),
        Err(cause) => Err(PromptError::Stdin(cause)),
    }
}

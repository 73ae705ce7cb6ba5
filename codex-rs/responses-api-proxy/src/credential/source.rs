//! Standard input as the source of the key: taken, read, closed.

use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use codex_process_hardening::{EchoOff, take_stdin};
use codex_secret_memory::SecretPage;

use crate::credential::read_api_key::{ApiKey, ReadKeyError, read_api_key};
use crate::observe::stderr;

/// How long standard input may stay silent before somebody is told.
const QUIET: Duration = Duration::from_secs(5);

/// Reads the key into `page` and closes standard input.
///
/// # Errors
///
/// [`ReadKeyError`]; the page is wiped then.
pub(crate) fn key_from_stdin(page: SecretPage) -> Result<ApiKey, ReadKeyError> {
    let mut stdin = take_stdin().map_err(ReadKeyError::Read)?;
    if stdin.is_terminal() {
        stderr::line("Paste the API key and press Enter (it is not shown):");
        let terminal = stdin.try_clone().map_err(ReadKeyError::Read)?;
        let _hidden = EchoOff::new(&terminal).map_err(ReadKeyError::Read)?;
        return read_api_key(&mut stdin, page);
    }
    saying_so_if_quiet(|| read_api_key(&mut stdin, page))
}

/// Runs `read`; if it takes long, says once what is being waited for. The thread
/// that does so has ended when this returns. Where there is none to be had
/// (setrlimit(2), `RLIMIT_NPROC`) nothing is said.
fn saying_so_if_quiet<T>(read: impl FnOnce() -> T) -> T {
    let (done, quiet) = mpsc::channel::<()>();
    std::thread::scope(|threads| {
        let _notice = std::thread::Builder::new().spawn_scoped(threads, move || {
            if quiet.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
                stderr::line("waiting for the API key on stdin (one line)");
            }
        });
        let result = read();
        drop(done);
        result
    })
}

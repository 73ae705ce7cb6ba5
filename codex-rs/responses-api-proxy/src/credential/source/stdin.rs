//! Standard input as the source of the key: taken, read, closed.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use codex_process_hardening::EchoOff;

use crate::credential::locked::{EmptySlot, LockedCredential};
use crate::credential::read_api_key::{ReadKeyError, read_api_key};
use crate::credential::workload::request_token::RequestTokenError;
use crate::observe::stderr;

/// How long standard input may stay silent before somebody is told.
const QUIET: Duration = Duration::from_secs(5);

/// Reads the key into `slot` and closes standard input.
///
/// # Errors
///
/// [`ReadKeyError`]; what was read is wiped then.
pub(crate) fn key_from_stdin(slot: EmptySlot) -> Result<LockedCredential, ReadKeyError> {
    line_from_stdin("the API key", slot)
}

/// The same of GitHub's request token.
///
/// # Errors
///
/// [`RequestTokenError`]; what was read is wiped then.
pub(crate) fn request_token_from_stdin(
    slot: EmptySlot,
) -> Result<LockedCredential, RequestTokenError> {
    line_from_stdin("the request token", slot).map_err(RequestTokenError)
}

fn line_from_stdin(what: &str, slot: EmptySlot) -> Result<LockedCredential, ReadKeyError> {
    let mut stdin = take_stdin().map_err(ReadKeyError::Read)?;
    if stdin.is_terminal() {
        let terminal = stdin.try_clone().map_err(ReadKeyError::Read)?;
        // Before anybody is asked: what was typed until here is thrown away, and would have been shown.
        let _hidden = EchoOff::new(&terminal).map_err(ReadKeyError::Read)?;
        stderr::line(format_args!(
            "Paste {what} and press Enter (it is not shown):"
        ));
        return read_api_key(&mut stdin, slot);
    }
    saying_so_if_quiet(what, || read_api_key(&mut stdin, slot))
}

/// Moves standard input to a descriptor of its own and leaves `/dev/null`, or where
/// there is none (in a bare chroot) a pipe that is at its end, in its place: dropping
/// the returned file then really closes the key's pipe, whose writer sees it, and
/// nothing started later can read what is left in it.
///
/// The file is unbuffered, unlike [`std::io::Stdin`], which would keep a copy of
/// the key in its buffer.
///
/// # Errors
///
/// When descriptor 0 cannot be duplicated or nothing can be put in its place.
#[cfg(unix)]
fn take_stdin() -> io::Result<File> {
    use std::os::fd::OwnedFd;

    use rustix::stdio::{dup2_stdin, stdin};

    let taken = rustix::io::fcntl_dupfd_cloexec(stdin(), 3)?;
    let nothing: OwnedFd = match File::open("/dev/null") {
        Ok(null) => null.into(),
        Err(_) => io::pipe()?.0.into(),
    };
    dup2_stdin(nothing)?;
    Ok(File::from(taken))
}

/// A handle of our own to standard input, unbuffered: there are no Unix descriptors, so it stays where
/// it is.
///
/// # Errors
///
/// When there is no standard input.
#[cfg(windows)]
#[allow(
    clippy::disallowed_methods,
    reason = "only its handle is used, never its buffer"
)]
fn take_stdin() -> io::Result<File> {
    use std::os::windows::io::AsHandle;

    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}

/// Runs `read`; if it takes long, says once what is being waited for. The thread
/// that does so has ended when this returns. Where there is none to be had
/// (setrlimit(2), `RLIMIT_NPROC`) nothing is said.
fn saying_so_if_quiet<T>(what: &str, read: impl FnOnce() -> T) -> T {
    let (done, quiet) = mpsc::channel::<()>();
    std::thread::scope(|threads| {
        let _notice = std::thread::Builder::new().spawn_scoped(threads, move || {
            if quiet.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
                stderr::line(format_args!("waiting for {what} on stdin (one line)"));
            }
        });
        let result = read();
        drop(done);
        result
    })
}

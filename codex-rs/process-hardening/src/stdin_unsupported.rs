//! Standard input where there are no Unix descriptors: used as it is.

use std::fs::File;
use std::io;

/// A handle of our own to standard input, unbuffered.
///
/// # Errors
///
/// When there is no standard input.
#[cfg(windows)]
#[allow(
    clippy::disallowed_methods,
    reason = "only its handle is used, never its buffer"
)]
pub fn take_stdin() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}

//! Files that are born with the permissions they are to have.

use rustix::fs::{Mode, RawMode};
use rustix::process::umask;

/// Runs `make` while whatever socket it creates gets the permissions `mode` and no
/// more (`umask(2)`). Call it while there is one thread: the mask is the whole
/// process's.
pub fn with_umask<T>(mode: u32, make: impl FnOnce() -> T) -> T {
    let allowed = Mode::from_bits_truncate(RawMode::try_from(mode).unwrap_or(0));
    let all = Mode::RWXU | Mode::RWXG | Mode::RWXO;
    let before = umask(all - allowed);
    let made = make();
    umask(before);
    made
}

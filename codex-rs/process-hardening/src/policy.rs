//! What the sandbox leaves: named by whoever enters it, read by every part of it.

use std::fs::File;
use std::path::PathBuf;

/// What the process still has to be able to do. All else is refused.
#[derive(Debug, Default)]
pub struct SandboxPolicy {
    /// TCP ports it connects to: the upstream's or its proxy's, and the resolver's.
    pub connect_to: Vec<u16>,
    /// It connects to a Unix socket: its upstream is one.
    pub connect_to_socket: bool,
    /// Files it opens for reading, if they exist, or directories for all that is beneath them.
    pub read: Vec<PathBuf>,
    /// It looks names up: UDP, and the netlink that the C library orders addresses by. Read and connected
    /// to is what [`read`](Self::read) and [`connect_to`](Self::connect_to) say.
    pub resolve_names: bool,
    /// Directories in which it opens files to append to, and makes such files, open. All beneath them may be appended to; an
    /// intruder can write over what is there too, because `fcntl(2)` takes `O_APPEND` back and is not looked at.
    pub append_in: Vec<File>,
    /// Directories in which it makes files, writes them, renames and removes them, open. What is there already is
    /// neither read nor written.
    pub dump_in: Vec<File>,
    /// Directories it removes a file from, open: a path may lead elsewhere by now.
    pub remove_from: Vec<File>,
}

/// What becomes of a system call that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefusedCall {
    /// It fails with `EPERM`, and one line on standard error names it.
    Report,
    /// It ends the process.
    Kill,
}

//! What the whole process must never allow, and what it must never inherit.
//!
//! [`exposure_at_start`] looks first: at what others could do before any of this. Then two steps.
//! [`harden`] runs before the first byte of a key is read, in both
//! binaries: no core dumps, no `ptrace(2)` or `/proc/PID/mem` for others of the
//! same user, no privileges gained by running another program. [`enter_sandbox`]
//! runs when everything that needs a privilege or a file is open: another user
//! if one was named, no capabilities, no files, no ports but the upstream's, and
//! only the system calls that serving needs.
//!
//! This is the only crate of the workspace that takes something from the process. It
//! does so by rustix where that has the call, by nix where it has to be the C library,
//! and by `unsafe` calls of its own where neither has it: signals, above all. Who is at the other end of a socket
//! is asked here for such a call alone.
#![allow(unsafe_code)] // what this crate exists for; every block says why it is sound

#[cfg(unix)]
mod descriptor;
#[cfg(unix)]
mod group;
mod mitigations;

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod outer_filter;
#[cfg(target_os = "linux")]
mod peer;
mod policy;
mod sandbox;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(unix)]
mod signals;
#[cfg(target_os = "linux")]
mod sigsys;
mod start;
mod stderr;
#[cfg_attr(not(unix), path = "terminal_unsupported.rs")]
mod terminal;
#[cfg_attr(not(unix), path = "user_unsupported.rs")]
mod user;

#[cfg(unix)]
pub use descriptor::take_inherited;
#[cfg(unix)]
pub use group::{GroupError, group_number, members_of};
#[cfg(target_os = "linux")]
pub use landlock::landlock_abi;
pub use mitigations::{Mitigation, harden, raise_descriptor_limit};
#[cfg(target_os = "linux")]
pub use outer_filter::started_under_a_filter;
#[cfg(target_os = "linux")]
pub use peer::{Peer, peer_of};
pub use policy::{OnRefusedCall, SandboxPolicy};
pub use sandbox::{drop_capabilities, enter_sandbox};
#[cfg(unix)]
pub use signals::{
    hangup_came, ignore_file_size_signal, is_ignored, outlive_hangup_and_interrupt, remember_hangup,
};
pub use start::{Exposure, exposure_at_start, tracer};
pub use stderr::stderr_has_room;
pub use terminal::EchoOff;
#[cfg(target_os = "linux")]
pub use user::open_files_as_everybody;
#[cfg(not(unix))]
pub use user::{GroupError, members_of};
pub use user::{User, UserError};

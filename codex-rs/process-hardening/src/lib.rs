//! What the whole process must never allow, and what it must never inherit.
//!
//! [`harden`] runs before the first byte of a key is read, in both binaries: no
//! core dumps, no `ptrace(2)` or `/proc/PID/mem` for others of the same user,
//! no privileges gained by running another program. [`take_stdin`] moves the
//! key's pipe out of descriptor 0, so that it is closed with the key read.
//!
//! This is the only crate of the workspace that controls the process by
//! `unsafe` calls, one per function, each with its manual page.
#![allow(unsafe_code)] // what this crate exists for; every block says why it is sound

mod measures;
#[cfg_attr(not(unix), path = "stdin_elsewhere.rs")]
mod stdin;

pub use measures::{Measure, harden};
pub use stdin::{EchoOff, take_stdin};

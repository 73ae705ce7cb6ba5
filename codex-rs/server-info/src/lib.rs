//! The server-info file, in which a running proxy says where it listens.
//!
//! It is one line of JSON, `{"port":N,"pid":N}`, with the path of a Unix socket as `socket`, a token for
//! callers as `client_token` and the path of the control socket as `control_socket` where there are such. [`ServerInfo`] is that line, to be written by the proxy
//! and read by everybody else; [`read`] finds it in a file that only a trusted user could have written; and
//! a [`ProxyProcess`] tells whether the process that wrote it still runs and listens there. How the file is
//! made, overwritten and removed is the proxy's own affair.
#![forbid(unsafe_code)]

mod file;
mod format;
#[cfg(target_os = "linux")]
mod listener;
#[cfg_attr(not(target_os = "linux"), path = "process_unsupported.rs")]
mod process;

pub use file::{Found, ReadError, read};
pub use format::{Address, ClientToken, FormatError, MAX_BYTES, ServerInfo};
pub use process::{ProxyGone, ProxyProcess};

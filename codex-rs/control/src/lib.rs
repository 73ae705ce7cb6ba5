//! How a running proxy is asked how it is, and told to end.
//!
//! A proxy that was started with `--control unix:/PATH` answers there whoever may ask: root, its own user, and the
//! user that started it. The protocol is lines of JSON, a document a line, in both directions ([`protocol`]); what is
//! said is a [`Status`]. This crate has both, and the commands that ask: `status`, `top`, `wait` and `stop`
//! ([`ControlCommand`], [`run()`]). The proxy's side of the socket is the proxy's own affair.
//!
//! Neither the key nor a token, a header or a body is anywhere in it.
#![forbid(unsafe_code)]

mod amounts;
mod command;
#[cfg_attr(not(unix), path = "connection_unsupported.rs")]
mod connection;
mod error;
mod place;
mod printable;
#[cfg_attr(not(target_os = "linux"), path = "process_unsupported.rs")]
mod process;
pub mod protocol;
mod report;
mod run;
mod status;
mod stop;
#[cfg_attr(not(unix), path = "top_unsupported.rs")]
mod top;
mod wait;
#[cfg_attr(not(target_os = "linux"), path = "watch_unsupported.rs")]
mod watch;

pub use amounts::{count, dollars};
pub use command::ControlCommand;
pub use error::ControlError;
pub use place::DEFAULT_SOCKET;
pub use run::{run, status};
pub use status::{
    Budget, Caller, Connections, Credential, Dropped, Fault, OutcomeCount, Phase, Requests,
    SharedLedger, State, Status, Stream, Tokens, Upstream,
};

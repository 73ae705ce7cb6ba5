//! An ssh-agent for an LLM API key: callers can use the key and never read it.
//!
//! ```text
//!  client                                                                     upstream
//!    | request   server.rs    policy.rs     headers.rs    forward.rs   upstream.rs  ^
//!    +---------> accept ---> permit? ----> keep safe --> add key ----> send --------+
//!                              | no                         ^                       |
//!                              v                     read_api_key.rs                |
//!                         refusal.rs               (secret-memory page)             |
//!    ^ answer                                                                       |
//!    +<----------------- relay.rs <------ headers.rs (answer direction) <-----------+
//! ```
//!
//! `downstream.rs` and `inbound.rs` stand between the caller's socket and hyper:
//! a head passes only if it can be read in exactly one way, and an answer that
//! was cut short ends in a way that no client takes for complete.
#![forbid(unsafe_code)]

mod accept_fault;
mod answer;
mod args;
mod banner;
mod callers;
mod chunked;
mod coalesce;
mod config;
mod confinement;
mod connection;
mod credential;
mod deadline;
mod door;
mod downstream;
mod environment;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head_fault;
mod headers;
mod inbound;
#[cfg_attr(not(unix), path = "info_file_elsewhere.rs")]
mod info_file;
mod key_beside;
mod key_source;
mod limits;
mod link;
mod listeners;
mod loopback;
mod needle;
mod places;
mod policy;
mod printable;
mod quantities;
mod read_api_key;
mod redact;
mod refusal;
mod relay;
mod report;
mod router;
mod seal;
mod server;
mod server_info;
mod shutdown;
#[cfg_attr(not(target_os = "linux"), path = "sock_diag_elsewhere.rs")]
mod sock_diag;
mod socket;
mod startup;
mod token_file;
mod tokens;
mod trust_roots;
mod turned_away;
#[cfg_attr(not(unix), path = "unix_socket_elsewhere.rs")]
mod unix_socket;
mod upload;
mod upstream;
mod upstream_fault;
mod user_namespace;
mod workers;

pub use args::{Args, Sandbox};
pub use report::failure as report_failure;
pub use startup::run_main;

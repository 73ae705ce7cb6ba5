//! An ssh-agent for an LLM API key: callers can use the key and never read it.
//!
//! ```text
//!  client                                                                                          upstream
//!    | request   downstream/       access/        forward/           credential/     upstream/        ^
//!    +---------> read the head --> authorize ---> headers, body ---> placeholder --> pool: a -------> |
//!                    |                | no                           for the key     connection of    |
//!                    | unreadable     v                                              this caller      |
//!                    +----------> refusal/                                                |           |
//!                                     |             credential/substitution/: the key goes from its   |
//!                                     |             locked page into the TLS record ------------------+
//!    ^ answer                         v                                                               |
//!    +<-- downstream/response.rs <-- forward/response_body.rs <-- credential/redact.rs <--------------+
//! ```
//!
//! `downstream/transport.rs` and `downstream/head.rs` stand between the caller's socket and hyper:
//! a head passes only if it can be read in exactly one way, and an answer that was cut short ends in a way
//! that no client takes for complete.
#![forbid(unsafe_code)]

mod access;
mod config;
mod credential;
mod downstream;
mod dumps;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod inspect;
mod lifecycle;
mod net;
mod observe;
mod refusal;
mod startup;
mod upstream;

pub use config::args::{Args, Sandbox};
pub use observe::stderr::failure as report_failure;
pub use startup::run_main;

//! A streaming chat client for the Responses API, configured as Codex is.
//!
//! ```text
//!  config/ (flags, -c, profile, config.toml)
//!                        |
//!  prompt.rs -> conversation.rs -> turn.rs <-> transport/ <-> server
//!                                    |
//!             terminal/ <- events/answer.rs <- events/stream.rs
//! ```
//!
//! It is a chat client, not an agent: it runs nothing and changes no file it was not given.
#![forbid(unsafe_code)]

mod chat;
mod config;
mod conversation;
mod events;
mod exec;
mod exit;
mod last_message;
mod mistyped;
mod prompt;
mod terminal;
mod transport;
mod turn;

pub use chat::run_chat;
pub use config::args::{ChatArgs, ExecArgs};
pub use config::overrides::ConfigOverride;
pub use exec::run_exec;

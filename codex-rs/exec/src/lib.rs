//! A streaming chat client for the Responses API, configured as Codex is.
//!
//! ```text
//!  command/, chat/ -> config/ (flags, -c, profile, config.toml)
//!                        |
//!  prompt/ -> conversation/ -> turn/ <-> transport/ <-> server
//!                                |
//!                terminal/ <- events/answer.rs <- events/stream.rs
//! ```
//!
//! It is a chat client, not an agent: it runs nothing and changes no file it was not given.
#![forbid(unsafe_code)]

mod chat;
mod command;
mod config;
mod conversation;
mod events;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod markdown;
mod prompt;
mod terminal;
mod transport;
mod turn;

pub use chat::run_chat;
pub use command::config::run_config;
pub use command::exec::run_exec;
pub use command::models::run_models;
pub use config::args::{ChatArgs, ConfigArgs, ExecArgs, SelectArgs};
pub use config::overrides::ConfigOverride;

//! A streaming chat client for the Responses API, configured as Codex is.
//!
//! ```text
//!  command/, chat/ -> config/ (flags, -c, profile, config.toml)
//!                        |
//!  prompt/ -> conversation/ -> turn/ <-> transport/ <-> server
//!                  |             |
//!              sessions/         |   (on a terminal through markdown/)
//!                                |
//!                terminal/ <- events/answer.rs <- events/stream.rs
//! ```
//!
//! It is a chat client, not an agent: it runs nothing, and changes no file but those it was given and its own.
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
mod sessions;
mod terminal;
mod transport;
mod turn;

pub use chat::{run_chat, run_resume};
pub use command::config::run_config;
pub use command::exec::run_exec;
pub use command::models::run_models;
pub use config::args::{ChatArgs, ConfigArgs, ExecArgs, SelectArgs};
pub use config::inspect::{ConfigInspection, InspectionError, ProviderInspection, inspect_config};
pub use config::overrides::ConfigOverride;
pub use config::resume::ResumeChatArgs;

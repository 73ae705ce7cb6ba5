//! A streaming chat client for the Responses API, configured as Codex is.
//!
//! ```text
//!  args.rs, config_override.rs, layer.rs, provider.rs -> config.rs
//!                                                            |
//!  prompt.rs -> conversation.rs ---------------------------> turn.rs <-> client.rs <-> server
//!                                                            |
//!  screen.rs <- answer.rs <- event.rs <- event_stream.rs <---+
//! ```
//!
//! It is a chat client, not an agent: it runs nothing and changes no file it was not given.
#![forbid(unsafe_code)]

mod answer;
mod args;
mod at_most;
mod chat;
mod client;
mod config;
mod config_fault;
mod config_override;
mod conversation;
mod deadline;
mod editor;
mod event;
mod event_stream;
mod exec;
mod fault;
mod headers;
mod last_message;
mod layer;
mod lenient;
mod mistyped;
mod printable;
mod prompt;
mod provider;
mod redact;
mod retry;
mod screen;
mod secret;
mod server_error;
mod server_info;
mod signals;
mod stop;
mod terminal;
mod turn;
mod way_out;
#[cfg_attr(not(target_os = "linux"), path = "writer_elsewhere.rs")]
mod writer;

pub use args::{ChatArgs, ExecArgs};
pub use chat::run_chat;
pub use config_override::ConfigOverride;
pub use exec::run_exec;

//! The subcommands, and what they have in common: how a run begins and ends.

pub(crate) mod config;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod last_message;
pub(crate) mod mistyped;
pub(crate) mod models;

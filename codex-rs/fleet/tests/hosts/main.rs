//! Hosts that share a real server: what they may spend together, and what becomes of it when something dies.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]
#![cfg(unix)]

mod deaths;
mod host;
mod lies;
mod sharing;

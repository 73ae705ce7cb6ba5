//! The way to the server and back: one request, its timeouts, and what may be tried again.

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod redact;
pub(crate) mod retry;

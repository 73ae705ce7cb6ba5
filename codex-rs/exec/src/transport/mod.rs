//! The way to the server and back: one request, its timeouts, and what may be tried again.

pub(crate) mod client;
pub(crate) mod error;
#[cfg_attr(not(target_os = "linux"), path = "proxy_process_unsupported.rs")]
pub(crate) mod proxy_process;
pub(crate) mod redact;
pub(crate) mod retry;

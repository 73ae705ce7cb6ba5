//! How others find the running proxy, what it tells whoever started it, and how it ends.

pub(crate) mod clock;
#[cfg(unix)]
pub(crate) mod descriptor_events;
pub(crate) mod expiry;
pub(crate) mod idle;
#[cfg_attr(not(unix), path = "info_file_unsupported.rs")]
pub(crate) mod info_file;
#[cfg_attr(not(unix), path = "launcher_unsupported.rs")]
pub(crate) mod launcher;
#[cfg_attr(not(unix), path = "notify_unsupported.rs")]
pub(crate) mod notify;
pub(crate) mod reload;
pub(crate) mod server_info;
pub(crate) mod shutdown;
pub(crate) mod watchdog;

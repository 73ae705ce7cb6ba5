//! How others find the running proxy, and how it is told to end.

#[cfg_attr(not(unix), path = "info_file_unsupported.rs")]
pub(crate) mod info_file;
pub(crate) mod server_info;
pub(crate) mod shutdown;

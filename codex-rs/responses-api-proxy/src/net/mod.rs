//! Sockets: what is listened on, and what a connection is.

pub(crate) mod listeners;
pub(crate) mod loopback;
pub(crate) mod socket;
#[cfg_attr(not(unix), path = "unix_socket_unsupported.rs")]
pub(crate) mod unix_socket;

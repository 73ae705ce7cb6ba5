//! Sockets: what is listened on, what a connection is, and how pieces become writes.

#[cfg_attr(not(unix), path = "activation_unsupported.rs")]
pub(crate) mod activation;
pub(crate) mod coalesce;
pub(crate) mod listeners;
pub(crate) mod loopback;
pub(crate) mod socket;
#[cfg_attr(not(unix), path = "unix_socket_unsupported.rs")]
pub(crate) mod unix_socket;

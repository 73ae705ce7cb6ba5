//! Whether a caller may make this request now: who it is, what it asks for, and how much it has in flight.

pub(crate) mod client_tokens;
pub(crate) mod peer_users;
pub(crate) mod policy;
pub(crate) mod request_limit;
#[cfg_attr(not(target_os = "linux"), path = "sock_diag_unsupported.rs")]
pub(crate) mod sock_diag;
pub(crate) mod token_file;
pub(crate) mod user_namespace;

//! How long and how much, for everybody alike.

use std::time::Duration;

/// How long a connection may stay open between two requests.
pub(crate) const IDLE: Duration = Duration::from_secs(300);

/// How long a caller may take nothing of its answer before it has to leave.
pub(crate) const STALLED: Duration = Duration::from_secs(300);

/// The same of an answer that refuses its request: a caller that may not have what it asks for keeps its
/// place no longer than it takes to be told.
pub(crate) const REFUSAL_STALLED: Duration = Duration::from_secs(5);

/// The longest head that is read, in bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// The most header lines that are read.
pub(crate) const MAX_HEADERS: usize = 256;

/// The limits that can be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a request head may take, from the connection or its first byte on.
    pub(crate) header_timeout: Duration,
    /// How long a request body may make no progress while the upstream would take more.
    pub(crate) body_timeout: Duration,
    /// Largest request body, in bytes.
    pub(crate) max_body: u64,
    /// Most connections at once.
    pub(crate) max_connections: usize,
    /// Most connections of one user at once; `None`: half of all.
    pub(crate) max_connections_per_user: Option<usize>,
    /// Most requests in flight at once.
    pub(crate) max_requests: usize,
}

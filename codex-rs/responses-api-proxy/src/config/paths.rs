//! The paths that are served, compared byte for byte.

/// The one that is forwarded.
pub(crate) const RESPONSES: &str = "/v1/responses";

/// The one that metrics are read at, at a place of its own.
pub(crate) const METRICS: &str = "/metrics";

/// The one that ends the proxy, where that was asked for.
pub(crate) const SHUTDOWN: &str = "/shutdown";

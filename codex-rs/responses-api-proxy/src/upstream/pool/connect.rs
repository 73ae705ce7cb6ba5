//! What the pool asks of a connection, and of what makes them.

use crate::upstream::error::UpstreamError;

/// A connection as the pool sees it; clones share it.
pub(crate) trait Pooled: Clone + Send + 'static {
    /// Whether another request can go by it, now or later.
    fn is_open(&self) -> bool;
    /// Whether it can take one more now; over HTTP/1.1 what an answer left unsent may have to end first.
    fn is_ready(&self) -> bool;
    /// How many requests it may carry at once.
    fn capacity(&self) -> usize;
    fn is_multiplexed(&self) -> bool;
}

/// What makes the connections of a pool.
pub(crate) trait Connect: Clone + Send + Sync + 'static {
    type Connection: Pooled;

    /// A new connection; and what comes when the server has said how much it allows, until when the
    /// connection carries one request.
    fn connect(
        &self,
    ) -> impl Future<
        Output = Result<(Self::Connection, impl Future<Output = ()> + Send), UpstreamError>,
    > + Send;

    /// Whether connections are multiplexed, if that is known before there is one.
    fn is_multiplexed(&self) -> Option<bool>;

    /// How many requests a multiplexed connection probably carries.
    fn expected_capacity() -> usize;
}

//! A request's permit to go by a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use crate::access::caller::Caller;
use crate::upstream::error::UpstreamError;

use super::{Connect, Shared};

/// A request's permit to go by a connection, given back when dropped.
pub(crate) struct Lease<C: Connect> {
    pub(super) shared: Arc<Shared<C>>,
    pub(super) caller: Caller,
    pub(super) id: u64,
    pub(super) connection: C::Connection,
    pub(super) is_reused: bool,
    /// What is still to come on the connection is wanted by nobody: it will not be used again.
    pub(super) is_spoiled: AtomicBool,
}

impl<C: Connect> Lease<C> {
    /// Has a connection that carries one request at a time end with this one.
    pub(crate) fn spoil(&self) {
        self.is_spoiled.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has carried a request before this one.
    pub(crate) fn is_reused(&self) -> bool {
        self.is_reused
    }

    pub(crate) fn connection(&self) -> &C::Connection {
        &self.connection
    }
}

impl<C: Connect> Drop for Lease<C> {
    fn drop(&mut self) {
        self.shared.give_back(self);
    }
}

/// How it stands with a request that needs a connection.
pub(super) enum Turn<C: Connect> {
    Now(Lease<C>),
    /// After a turn of the runtime, which looks at the sockets, and of the tasks that drive idle connections:
    /// the answer on one has just been read to its end, or the server has closed it since.
    Soon,
    /// When one has room. If the request had one opened, that one's failure is its own.
    Later {
        promised: oneshot::Receiver<Result<Lease<C>, UpstreamError>>,
        has_begun: bool,
    },
}

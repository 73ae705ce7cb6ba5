//! The caller's side of the wire: connections are accepted, bounded in number and in time, and their request
//! heads read strictly before hyper sees them.

pub(crate) mod accept;
pub(crate) mod accept_error;
pub(crate) mod chunked;
pub(crate) mod connection;
pub(crate) mod connection_limit;
pub(crate) mod connection_state;
pub(crate) mod control_listener;
pub(crate) mod head;
pub(crate) mod head_error;
pub(crate) mod listener_thread;
pub(crate) mod load;
pub(crate) mod metrics_listener;
pub(crate) mod newest_tasks;
pub(crate) mod rejected;
pub(crate) mod response;
pub(crate) mod transport;
pub(crate) mod workers;

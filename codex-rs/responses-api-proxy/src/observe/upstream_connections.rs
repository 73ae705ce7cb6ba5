//! Connections to the upstream: how many are open, and how long each took to come about.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds of the times, in seconds: from a Unix socket to the ten seconds after which connecting is given up.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Those of all threads; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamConnections {
    open: Arc<AtomicUsize>,
    times: Histogram,
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<AtomicUsize>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UpstreamConnections {
    pub(crate) fn new() -> Self {
        Self {
            open: Arc::default(),
            times: Histogram::new(BOUNDS),
        }
    }

    /// A connection came about within this time, and is open until what is returned is dropped.
    pub(crate) fn note_open(&self, after: Duration) -> OpenConnection {
        self.times.observe(after.as_secs_f64());
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(&self.open))
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How long they took to come about, in seconds; name look-up and TLS included.
    pub(crate) fn times(&self) -> &Histogram {
        &self.times
    }
}

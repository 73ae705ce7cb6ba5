//! What can be measured, and what was.

use crate::stage::Seen;

/// A quantity, which is a column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Quantity {
    /// Milliseconds below which half of the cases were.
    P50,
    P90,
    P99,
    P999,
    Max,
    /// CPU seconds of the contestant for 1,000 requests.
    CpuPerThousand,
    /// CPU seconds of the contestant for 10^9 bytes.
    CpuPerGigabyte,
    /// Share of one core, in percent.
    CpuShare,
    /// Requests per second.
    Rate,
    /// 10^6 bytes per second.
    Throughput,
    /// The most resident memory, in MiB.
    Rss,
    /// Resident memory when nothing was done yet, in MiB.
    IdleRss,
    /// Growth of resident memory for each stream, in KiB.
    RssPerStream,
    /// The most threads.
    Threads,
    /// How many came through, of all that were tried.
    Share,
    /// Connections that the upstream saw.
    Connections,
    /// How much more resident memory there is than there was, in MiB.
    RssDrift,
    /// How many more open descriptors.
    DescriptorDrift,
    /// How many more threads.
    ThreadDrift,
    /// The size of the program's file, in 10^6 bytes.
    Binary,
}

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// What a value and the one without a proxy have to do with each other.
pub(crate) type Relation = fn(f64, f64) -> f64;

impl Quantity {
    /// The heading of its column.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::P50 => "p50 ms",
            Self::P90 => "p90 ms",
            Self::P99 => "p99 ms",
            Self::P999 => "p99.9 ms",
            Self::Max => "max ms",
            Self::CpuPerThousand => "CPU s / 1000 requests",
            Self::CpuPerGigabyte => "CPU s/GB",
            Self::CpuShare => "CPU %",
            Self::Rate => "req/s",
            Self::Throughput => "MB/s",
            Self::Rss => "RSS MiB",
            Self::IdleRss => "idle RSS MiB",
            Self::RssPerStream => "KiB per stream",
            Self::Threads => "threads",
            Self::Share => "came through %",
            Self::Connections => "upstream connections",
            Self::RssDrift => "RSS drift MiB",
            Self::DescriptorDrift => "descriptors drift",
            Self::ThreadDrift => "threads drift",
            Self::Binary => "binary MB",
        }
    }

    /// Which of two values is the better one; `None` where neither is, or no one value says it.
    pub(crate) fn better(self) -> Option<Better> {
        match self {
            Self::Rate | Self::Throughput | Self::Share => Some(Better::More),
            // The worst of all cases is one case.
            Self::Max | Self::P999 | Self::Threads | Self::Connections => None,
            // Differences of what has its own column, and often 0.
            Self::RssDrift | Self::DescriptorDrift | Self::ThreadDrift => None,
            _ => Some(Better::Less),
        }
    }

    /// How it is set in relation to the load without a proxy, if it is.
    pub(crate) fn beside_direct(self) -> Option<(&'static str, Relation)> {
        match self {
            Self::P50 => Some(("above direct", |value, direct| value - direct)),
            Self::Rate | Self::Throughput => Some(("x direct", |value, direct| value / direct)),
            _ => None,
        }
    }
}

/// One scenario with one contestant in one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measurement {
    /// In the order of the columns.
    pub(crate) values: Vec<(Quantity, f64)>,
    /// What the upstream was spoken to in.
    pub(crate) upstream: &'static str,
}

impl Measurement {
    /// Adds a value.
    pub(crate) fn with(mut self, quantity: Quantity, value: f64) -> Self {
        self.values.push((quantity, value));
        self
    }

    /// Adds a value if there is one.
    pub(crate) fn with_some(self, quantity: Quantity, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(quantity, value),
            None => self,
        }
    }

    /// Adds the protocol that the upstream was spoken to in.
    pub(crate) fn over(mut self, seen: Seen, tls: bool) -> Self {
        self.upstream = match (seen.h2 > 0, tls) {
            (true, _) => "TLS, HTTP/2",
            (false, true) => "TLS, HTTP/1.1",
            (false, false) => "HTTP/1.1",
        };
        self
    }
}

//! The scenarios by name, and what each consists of.

use std::fmt;
use std::str::FromStr;

use crate::stage::{Link, Wire};

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    S1,
    S1Open,
    S2,
    S2H2,
    S2Paced,
    S2Open,
    S3,
    S3H2,
    S4,
    S5,
    S6Flowing,
    S6Silent,
    S7,
    S8,
    S9,
    S9Loss,
    S9Streams,
    S9StreamsLoss,
    S10,
    S10H2,
    S11,
}

/// What is far away in S9: the round trip in milliseconds, and the share of packets that get lost.
const FAR: Link = Link {
    round_trip: 80,
    loss: 0.0,
};
const FAR_AND_LOSSY: Link = Link { loss: 0.001, ..FAR };

impl Scenario {
    /// All of them, in the order in which they are played.
    pub(crate) const ALL: [Self; 21] = [
        Self::S1,
        Self::S1Open,
        Self::S2,
        Self::S2H2,
        Self::S2Paced,
        Self::S2Open,
        Self::S3,
        Self::S3H2,
        Self::S4,
        Self::S5,
        Self::S6Flowing,
        Self::S6Silent,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S9Loss,
        Self::S9Streams,
        Self::S9StreamsLoss,
        Self::S10,
        Self::S10H2,
        Self::S11,
    ];

    /// What it is called, and what it consists of.
    pub(crate) fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::S1 => (
                "S1",
                "1 client, one request after the other; 1 KB body, 5 events one by one",
            ),
            Self::S1Open => (
                "S1-open",
                "the requests of S1, 1,000 a second at random times, answered or not; from the time at \
                 which each was due",
            ),
            Self::S2 => (
                "S2",
                "16 clients, 40 KB body, 200 events of 150 B; each its own chunk, all written at once",
            ),
            Self::S2H2 => ("S2-h2", "S2 with a TLS upstream, HTTP/2 for those who can"),
            Self::S2Paced => ("S2-paced", "S2 with each event written by itself"),
            Self::S2Open => (
                "S2-open",
                "the requests of S2, 1,000 a second at random times, answered or not; from the time at \
                 which each was due",
            ),
            Self::S3 => (
                "S3",
                "thousands of streams with an event each 500 ms, spread evenly",
            ),
            Self::S3H2 => ("S3-h2", "S3 with a TLS upstream, HTTP/2 for those who can"),
            Self::S4 => ("S4", "4 streams of events of 16 KB"),
            Self::S5 => ("S5", "4 clients, 8 MB bodies, small answers"),
            Self::S6Flowing => (
                "S6-flowing",
                "the client leaves while an event comes each 20 ms; until the upstream sees it",
            ),
            Self::S6Silent => ("S6-silent", "S6 while nothing comes"),
            Self::S7 => (
                "S7",
                "from the start of the process to its first answer, with a TLS upstream to trust, and \
                 the system's certificate authorities",
            ),
            Self::S8 => (
                "S8",
                "500 clients, a new one each millisecond, and all stay; TLS upstream with 100 \
                 streams on an HTTP/2 connection; \
                 until the request is there",
            ),
            Self::S9 => (
                "S9",
                "answers of 8 MiB one after the other, from a TLS upstream that is 80 ms away (round trip)",
            ),
            Self::S9Loss => (
                "S9-loss",
                "S9 with 1 of 1,000 packets lost, in each direction",
            ),
            Self::S9Streams => (
                "S9-streams",
                "S3-h2 with 1,000 streams, from an upstream that is 80 ms away (round trip)",
            ),
            Self::S9StreamsLoss => (
                "S9-streams-loss",
                "S9-streams with 1 of 1,000 packets lost, in each direction",
            ),
            Self::S10 => (
                "S10",
                "1,000 callers that have asked for 16 MiB each read 1 KB a second; meanwhile the client of S1",
            ),
            Self::S10H2 => (
                "S10-h2",
                "S10 with a TLS upstream, HTTP/2 for those who can",
            ),
            Self::S11 => (
                "S11",
                "the requests of S1 by 16 clients, of which each connects again after 100 and leaves in \
                 the middle of an answer after 1,000; what is in use at the end beyond what was after \
                 the first 10,000",
            ),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.about().0
    }

    /// What the upstream speaks in it.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::S2H2 | Self::S3H2 | Self::S7 | Self::S8 | Self::S10H2 => Wire::Tls,
            _ if self.link().is_some() => Wire::Tls,
            _ => Wire::Plain,
        }
    }

    /// What the upstream's kernel keeps of what is not read, in bytes: in S10 a thousand times.
    pub(super) fn send_buffer(self) -> Option<u32> {
        matches!(self, Self::S10 | Self::S10H2).then_some(64 << 10)
    }

    /// The way to the upstream, if it is not loopback.
    pub(crate) fn link(self) -> Option<Link> {
        match self {
            Self::S9 | Self::S9Streams => Some(FAR),
            Self::S9Loss | Self::S9StreamsLoss => Some(FAR_AND_LOSSY),
            _ => None,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Scenarios as they are asked for: one by its name, or a family (`S2` is all that begin so).
#[derive(Clone, Debug)]
pub(crate) struct Wanted(pub(crate) Vec<Scenario>);

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.to_ascii_uppercase();
        let found: Vec<Scenario> = Scenario::ALL
            .into_iter()
            .filter(|scenario| {
                let name = scenario.name().to_ascii_uppercase();
                let (family, variant) = name.split_once('-').unwrap_or((&name, "H1"));
                wanted == name && name.contains('-')
                    || wanted == family
                    || wanted == format!("{family}-{variant}")
            })
            .collect();
        if found.is_empty() {
            let names: Vec<&str> = Scenario::ALL
                .iter()
                .map(|scenario| scenario.name())
                .collect();
            return Err(format!("there are {}", names.join(", ")));
        }
        Ok(Self(found))
    }
}

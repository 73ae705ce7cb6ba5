//! What is played in front of each contestant.

mod latency;
mod leaving;
mod rush;
mod starts;
mod streams;
mod throughput;
mod uploads;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::contestant::Contestant;
use crate::load::Done;
use crate::measurement::{Measurement, Quantity};
use crate::process::Used;
use crate::stage::{Stage, Wire};

/// How long one scenario may take with one contestant.
const TIMEOUT: Duration = Duration::from_secs(180);

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    S1,
    S2,
    S2H2,
    S2Paced,
    S3,
    S3H2,
    S4,
    S5,
    S6Flowing,
    S6Silent,
    S7,
    S8,
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// How long requests are repeated.
    pub(crate) time: Duration,
    /// How long they are repeated before that, unmeasured.
    pub(crate) warm_up: Duration,
    /// S4: bytes in all.
    pub(crate) flood: u64,
    /// S3: streams.
    pub(crate) streams: u32,
    /// S5: bodies of each client.
    pub(crate) uploads: usize,
    /// S6: clients that leave.
    pub(crate) tries: u32,
    /// S7: starts.
    pub(crate) starts: usize,
}

/// What moving so many bytes took.
fn by_volume(bytes: f64, done: &Done, used: Option<Used>) -> Measurement {
    Measurement::default()
        .with_some(
            Quantity::CpuPerGigabyte,
            used.map(|used| used.cpu * 1e9 / bytes),
        )
        .with(
            Quantity::Throughput,
            bytes / 1e6 / done.elapsed.as_secs_f64(),
        )
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0))
        .with_some(Quantity::Threads, used.map(|used| used.threads))
}

impl Scenario {
    /// All of them, in the order in which they are played.
    pub(crate) const ALL: [Self; 12] = [
        Self::S1,
        Self::S2,
        Self::S2H2,
        Self::S2Paced,
        Self::S3,
        Self::S3H2,
        Self::S4,
        Self::S5,
        Self::S6Flowing,
        Self::S6Silent,
        Self::S7,
        Self::S8,
    ];

    /// What it is called, and what it consists of.
    pub(crate) fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::S1 => (
                "S1",
                "1 client, one request after the other; 1 KB body, 5 events one by one",
            ),
            Self::S2 => (
                "S2",
                "16 clients, 40 KB body, 200 events of 150 B; each its own chunk, all written at once",
            ),
            Self::S2H2 => ("S2-h2", "S2 with a TLS upstream, HTTP/2 for those who can"),
            Self::S2Paced => ("S2-paced", "S2 with each event written by itself"),
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
                "from the start of the process to its first answer, with a TLS upstream to trust",
            ),
            Self::S8 => (
                "S8",
                "500 clients, a new one each millisecond, and all stay; TLS upstream with 100 \
                 streams on an HTTP/2 connection; \
                 until the request is there",
            ),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.about().0
    }

    fn wire(self) -> Wire {
        match self {
            Self::S2H2 | Self::S3H2 | Self::S7 | Self::S8 => Wire::Tls,
            _ => Wire::Plain,
        }
    }

    /// Plays it once; `None` if it makes no sense with this contestant.
    ///
    /// # Errors
    /// When the contestant does not start, ends, or does anything wrong.
    pub(crate) fn play(
        self,
        contestant: &Contestant,
        scale: &Scale,
    ) -> Result<Option<Measurement>> {
        if self == Self::S7 {
            return starts::again_and_again(contestant, scale);
        }
        let mut stage = Stage::set(contestant, self.wire())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the load's runtime")?;
        let play = async {
            match self {
                Self::S1 => latency::one_client(&stage, scale).await,
                Self::S2 | Self::S2H2 => throughput::at_once(&stage, scale).await,
                Self::S2Paced => throughput::one_by_one(&stage, scale).await,
                Self::S3 | Self::S3H2 => streams::spread(&stage, scale).await,
                Self::S4 => throughput::flood(&stage, scale).await,
                Self::S5 => uploads::large(&stage, scale).await,
                Self::S6Flowing => leaving::flowing(&mut stage, scale).await,
                Self::S6Silent => leaving::silent(&mut stage, scale).await,
                Self::S7 | Self::S8 => rush::all_at_once(&mut stage, scale).await,
            }
        };
        let measurement = runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, play).await })
            .context("it takes too long")??;
        let tls = self.wire() == Wire::Tls && stage.ready().is_some();
        Ok(Some(measurement.over(stage.seen()?, tls)))
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

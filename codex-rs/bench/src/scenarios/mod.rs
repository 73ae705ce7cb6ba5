//! What is played in front of each contestant.

mod latency;
mod throughput;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::contestant::Contestant;
use crate::measurement::Measurement;
use crate::stage::{Stage, Wire};

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    S1,
    S2,
    S2H2,
    S2Paced,
    S4,
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
}

impl Scenario {
    /// All of them, in the order in which they are played.
    pub(crate) const ALL: [Self; 5] = [Self::S1, Self::S2, Self::S2H2, Self::S2Paced, Self::S4];

    /// What it is called, and what it consists of.
    pub(crate) fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::S1 => (
                "S1",
                "1 client, one request after the other; 1 KB body, 5 events",
            ),
            Self::S2 => (
                "S2",
                "16 clients, 40 KB body, 200 events of 150 B; each its own chunk, all written at once",
            ),
            Self::S2H2 => ("S2-h2", "S2 with a TLS upstream, HTTP/2 for those who can"),
            Self::S2Paced => ("S2-paced", "S2 with each event written by itself"),
            Self::S4 => ("S4", "4 streams of events of 16 KB"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.about().0
    }

    fn wire(self) -> Wire {
        match self {
            Self::S2H2 => Wire::Tls,
            _ => Wire::Plain,
        }
    }

    /// Plays it once.
    ///
    /// # Errors
    /// When the contestant does not start, ends, or does anything wrong.
    pub(crate) fn play(self, contestant: &Contestant, scale: &Scale) -> Result<Measurement> {
        let mut stage = Stage::set(contestant, self.wire())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the load's runtime")?;
        let measurement = match self {
            Self::S1 => runtime.block_on(latency::one_client(&stage, scale)),
            Self::S2 | Self::S2H2 => runtime.block_on(throughput::at_once(&stage, scale)),
            Self::S2Paced => runtime.block_on(throughput::one_by_one(&stage, scale)),
            Self::S4 => runtime.block_on(throughput::flood(&stage, scale)),
        }?;
        Ok(measurement.over(
            stage.seen()?,
            self.wire() == Wire::Tls && stage.ready().is_some(),
        ))
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

//! What is played in front of each contestant.

mod far;
mod latency;
mod leaving;
mod names;
mod rush;
mod slow_readers;
mod soak;
mod starts;
mod streams;
mod throughput;
mod uploads;

use std::time::Duration;

use anyhow::{Context, Result};

pub(crate) use self::names::{Scenario, Wanted};
use crate::contestant::Contestant;
use crate::load::Done;
use crate::measurement::{Measurement, Quantity};
use crate::process::Used;
use crate::stage::{Conditions, Ground, Stage, Wire};

/// How long one scenario may take with one contestant.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The same of S11, where it is a million requests.
const SOAK_TIMEOUT: Duration = Duration::from_secs(3600);

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
    /// S9: answers of 8 MiB.
    pub(crate) far_answers: usize,
    /// S10: callers.
    pub(crate) slow_readers: usize,
    /// S11: requests.
    pub(crate) soak: usize,
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
    /// Plays it once; `None` if it makes no sense with this contestant.
    ///
    /// # Errors
    /// When the contestant does not start, ends, or does anything wrong.
    pub(crate) fn play(
        self,
        contestant: &Contestant,
        scale: &Scale,
        ground: &Ground,
    ) -> Result<Option<Measurement>> {
        if self == Self::S7 {
            return starts::again_and_again(contestant, scale, ground);
        }
        let conditions = Conditions {
            wire: self.wire(),
            link: self.link(),
            send_buffer: self.send_buffer(),
            authorities: false,
        };
        let mut stage = Stage::set(contestant, conditions, ground)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the load's runtime")?;
        let play = async {
            match self {
                Self::S1 => latency::one_client(&stage, scale).await,
                Self::S1Open => latency::open_loop(&stage, scale).await,
                Self::S2 | Self::S2H2 => throughput::at_once(&stage, scale).await,
                Self::S2Paced => throughput::one_by_one(&stage, scale).await,
                Self::S2Open => throughput::open_loop(&stage, scale).await,
                Self::S3 | Self::S3H2 => streams::spread(&stage, scale, scale.streams).await,
                Self::S4 => throughput::flood(&stage, scale).await,
                Self::S5 => uploads::large(&stage, scale).await,
                Self::S6Flowing => leaving::flowing(&mut stage, scale).await,
                Self::S6Silent => leaving::silent(&mut stage, scale).await,
                Self::S7 | Self::S8 => rush::all_at_once(&mut stage, scale).await,
                Self::S9 | Self::S9Loss => far::large_answers(&stage, scale).await,
                Self::S9Streams | Self::S9StreamsLoss => {
                    streams::spread(&stage, scale, far::STREAMS).await
                }
                Self::S10 | Self::S10H2 => slow_readers::beside(&stage, scale).await,
                Self::S11 => soak::drift(&stage, scale).await,
            }
        };
        let timeout = if self == Self::S11 {
            SOAK_TIMEOUT
        } else {
            TIMEOUT
        };
        let measurement = runtime
            .block_on(async { tokio::time::timeout(timeout, play).await })
            .context("it takes too long")??;
        let tls = self.wire() == Wire::Tls && stage.ready().is_some();
        Ok(Some(measurement.over(stage.seen()?, tls)))
    }
}

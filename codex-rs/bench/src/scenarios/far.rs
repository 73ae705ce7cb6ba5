//! S9: an upstream that is far away, where what is under way decides how long an answer takes.

use std::time::Duration;

use anyhow::Result;

use super::Scale;
use crate::job::Job;
use crate::load::Crowd;
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

/// S9-streams: how many.
pub(super) const STREAMS: u32 = 1_000;

/// Events of an answer, and the size of each in bytes: 8 MiB.
const EVENTS: u32 = 512;
const EVENT: u32 = 16 << 10;
const BODY: usize = 1 << 10;

/// One client that reads large answers one after the other, on connections that have been used before.
pub(super) async fn large_answers(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let job = Job::AtOnce {
        events: EVENTS,
        size: EVENT,
    };
    let crowd = |most| Crowd {
        address: stage.address,
        clients: 1,
        request: stage.request(job, BODY),
        answer: u64::from(EVENTS) * u64::from(EVENT),
        time: Duration::MAX,
        most,
    };
    crowd(1).run().await?;
    let watched = stage.watch()?;
    let done = crowd(scale.far_answers).run().await?;
    let used = watched.end()?;
    Ok(Measurement::default()
        .with(Quantity::P50, percentile(&done.times, 0.5))
        .with(Quantity::Max, percentile(&done.times, 1.0))
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0)))
}

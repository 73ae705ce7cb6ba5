//! S1: what a proxy adds when nothing else is going on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::Scale;
use crate::job::Job;
use crate::load::{Arrivals, Crowd};
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

const EVENTS: u32 = 5;
const EVENT: u32 = 150;
const BODY: usize = 1 << 10;

/// Requests that arrive in a second, where it does not matter whether others are answered.
const RATE: f64 = 1_000.0;

/// One client that asks again as soon as it is answered, for so long.
pub(super) fn crowd(stage: &Stage, time: Duration) -> Crowd {
    let job = Job::OneByOne {
        events: EVENTS,
        size: EVENT,
    };
    Crowd {
        address: stage.address,
        clients: 1,
        request: stage.request(job, BODY),
        answer: u64::from(EVENTS * EVENT),
        time,
        most: usize::MAX,
    }
}

/// Such a client.
pub(super) async fn one_client(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let crowd = crowd(stage, scale.warm_up);
    crowd.run().await?;
    let watched = stage.watch()?;
    let done = Crowd {
        time: scale.time,
        ..crowd
    }
    .run()
    .await?;
    let used = watched.end()?;
    let times = &done.times;
    Ok(Measurement::default()
        .with(Quantity::P50, percentile(times, 0.5))
        .with(Quantity::P90, percentile(times, 0.9))
        .with(Quantity::P99, percentile(times, 0.99))
        .with_some(
            Quantity::CpuPerThousand,
            used.map(|used| done.per_thousand(used.cpu)),
        )
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0))
        .with_some(Quantity::Threads, used.map(|used| used.threads)))
}

/// The same requests as they come.
pub(super) async fn open_loop(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    arriving(stage, scale, &crowd(stage, scale.warm_up)).await
}

/// Requests of a kind as they come, instead of one after the other.
pub(super) async fn arriving(stage: &Stage, scale: &Scale, like: &Crowd) -> Result<Measurement> {
    let arrivals = |time| Arrivals {
        address: like.address,
        request: Arc::clone(&like.request),
        answer: like.answer,
        rate: RATE,
        time,
    };
    arrivals(scale.warm_up).run().await?;
    let watched = stage.watch()?;
    let arrived = arrivals(scale.time).run().await?;
    let used = watched.end()?;
    let times = &arrived.times;
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let answered = times.len() as f64;
    Ok(Measurement::default()
        .with(Quantity::Share, arrived.share())
        .with(Quantity::P50, percentile(times, 0.5))
        .with(Quantity::P90, percentile(times, 0.9))
        .with(Quantity::P99, percentile(times, 0.99))
        .with(Quantity::P999, percentile(times, 0.999))
        .with(Quantity::Max, percentile(times, 1.0))
        .with_some(
            Quantity::CpuPerThousand,
            used.map(|used| used.cpu * 1000.0 / answered),
        )
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0)))
}

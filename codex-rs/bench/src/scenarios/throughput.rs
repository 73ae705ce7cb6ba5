//! S2 and S4: what an answer costs when there are many, or when they are large.

use std::time::Duration;

use anyhow::Result;

use super::{Scale, by_volume, latency};
use crate::job::Job;
use crate::load::Crowd;
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;

const CLIENTS: usize = 16;
const EVENTS: u32 = 200;
const EVENT: u32 = 150;
const BODY: usize = 40_000;

/// S4: clients, and the size of their events.
const FEW: u32 = 4;
const LARGE: u32 = 16 << 10;

/// Events that arrive in a few reads.
pub(super) async fn at_once(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    many(
        stage,
        scale,
        Job::AtOnce {
            events: EVENTS,
            size: EVENT,
        },
    )
    .await
}

/// Events that arrive one by one.
pub(super) async fn one_by_one(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    many(
        stage,
        scale,
        Job::OneByOne {
            events: EVENTS,
            size: EVENT,
        },
    )
    .await
}

/// The requests of [`at_once`] as they come.
pub(super) async fn open_loop(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let job = Job::AtOnce {
        events: EVENTS,
        size: EVENT,
    };
    latency::arriving(stage, scale, &crowd(stage, scale, job)).await
}

fn crowd(stage: &Stage, scale: &Scale, job: Job) -> Crowd {
    Crowd {
        address: stage.address,
        clients: CLIENTS,
        request: stage.request(job, BODY),
        answer: u64::from(EVENTS * EVENT),
        time: scale.warm_up,
        most: usize::MAX,
    }
}

async fn many(stage: &Stage, scale: &Scale, job: Job) -> Result<Measurement> {
    let crowd = crowd(stage, scale, job);
    crowd.run().await?;
    let watched = stage.watch()?;
    let done = Crowd {
        time: scale.time,
        ..crowd
    }
    .run()
    .await?;
    let used = watched.end()?;
    Ok(Measurement::default()
        .with_some(
            Quantity::CpuPerThousand,
            used.map(|used| done.per_thousand(used.cpu)),
        )
        .with(Quantity::Rate, done.rate())
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0))
        .with_some(Quantity::Threads, used.map(|used| used.threads)))
}

/// A few long answers of large events.
pub(super) async fn flood(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let each = u32::try_from(scale.flood / u64::from(FEW * LARGE)).unwrap_or(u32::MAX);
    let crowd = |events: u32| Crowd {
        address: stage.address,
        clients: FEW as usize,
        request: stage.request(
            Job::AtOnce {
                events,
                size: LARGE,
            },
            1 << 10,
        ),
        answer: u64::from(events) * u64::from(LARGE),
        time: Duration::MAX,
        most: 1,
    };
    crowd(each / 16 + 1).run().await?;
    let watched = stage.watch()?;
    let crowd = crowd(each);
    let done = crowd.run().await?;
    let used = watched.end()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    let bytes = (crowd.answer * u64::from(FEW)) as f64;
    Ok(by_volume(bytes, &done, used))
}

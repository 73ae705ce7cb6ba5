//! S1: what a proxy adds when nothing else is going on.

use anyhow::Result;

use super::Scale;
use crate::job::Job;
use crate::load::Crowd;
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

const EVENTS: u32 = 5;
const EVENT: u32 = 150;
const BODY: usize = 1 << 10;

/// One client that asks again as soon as it is answered.
pub(super) async fn one_client(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let crowd = Crowd {
        address: stage.address,
        clients: 1,
        request: stage.request(
            Job::OneByOne {
                events: EVENTS,
                size: EVENT,
            },
            BODY,
        ),
        answer: u64::from(EVENTS * EVENT),
        time: scale.warm_up,
        most: usize::MAX,
    };
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

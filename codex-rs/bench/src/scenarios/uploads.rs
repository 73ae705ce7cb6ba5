//! S5: large requests.

use std::time::Duration;

use anyhow::Result;

use super::Scale;
use crate::job::Job;
use crate::load::Crowd;
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;

const CLIENTS: usize = 4;
const BODY: usize = 8_000_000;
const EVENT: u32 = 150;

/// A few clients with bodies of 8 MB each.
pub(super) async fn large(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let crowd = |most| Crowd {
        address: stage.address,
        clients: CLIENTS,
        request: stage.request(
            Job::AtOnce {
                events: 1,
                size: EVENT,
            },
            BODY,
        ),
        answer: u64::from(EVENT),
        time: Duration::MAX,
        most,
    };
    crowd(1).run().await?;
    let watched = stage.watch()?;
    let done = crowd(scale.uploads).run().await?;
    let used = watched.end()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    let bytes = (done.times.len() * BODY) as f64;
    Ok(Measurement::default()
        .with_some(
            Quantity::CpuPerGigabyte,
            used.map(|used| used.cpu * 1e9 / bytes),
        )
        .with(
            Quantity::Throughput,
            bytes / 1e6 / done.elapsed.as_secs_f64(),
        )
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0))
        .with_some(Quantity::Threads, used.map(|used| used.threads)))
}

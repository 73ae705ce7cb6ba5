//! S10: callers that ask for much and read it slowly: what they keep here, and what others notice of it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::{Scale, latency};
use crate::job::Job;
use crate::load::{Crowd, SlowReader};
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

/// Events of an answer, and the size of each in bytes: 16 MiB.
const EVENTS: u32 = 1_024;
const EVENT: u32 = 16 << 10;
const BODY: usize = 1 << 10;
/// What each of them reads at once, in bytes, and how often.
const PIECE: usize = 1_000;
const PERIOD: Duration = Duration::from_secs(1);
/// Between two of them while they begin: time for a TLS handshake, for those who make one for each.
const PAUSE: Duration = Duration::from_millis(1);
/// How long one may wait for the first bytes of its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One client of S1 beside them.
pub(super) async fn beside(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    LocalSet::new().run_until(measure(stage, scale)).await
}

async fn measure(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let crowd = latency::crowd(stage, scale.warm_up);
    crowd.run().await?;
    let watched = stage.watch()?;
    let job = Job::AtOnce {
        events: EVENTS,
        size: EVENT,
    };
    let request = stage.request(job, BODY);
    let alive = Rc::new(Cell::new(0_usize));
    let mut readers = JoinSet::new();
    let start = Instant::now();
    for number in 0..scale.slow_readers {
        let turn = start + PAUSE * u32::try_from(number).unwrap_or_default();
        let (alive, request, address) = (Rc::clone(&alive), request.clone(), stage.address);
        readers.spawn_local(async move {
            tokio::time::sleep_until(turn).await;
            let begun = SlowReader::begin(address, &request, PIECE);
            let mut reader = tokio::time::timeout(TIMEOUT, begun).await??;
            alive.set(alive.get() + 1);
            while reader.read_some().await.is_ok() {
                tokio::time::sleep(PERIOD).await;
            }
            alive.set(alive.get() - 1);
            anyhow::Ok(())
        });
    }
    let all = PAUSE * u32::try_from(scale.slow_readers).unwrap_or(u32::MAX);
    tokio::time::sleep_until(start + all + PERIOD).await;

    let done = Crowd {
        time: scale.time * 2,
        ..crowd
    }
    .run()
    .await?;
    let alive = alive.get();
    let used = watched.end()?;
    ensure!(alive > 0, "no slow reader has an answer");
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let (alive, all) = (alive as f64, scale.slow_readers as f64);
    Ok(Measurement::default()
        .with(Quantity::Share, alive * 100.0 / all)
        .with(Quantity::P50, percentile(&done.times, 0.5))
        .with(Quantity::P99, percentile(&done.times, 0.99))
        .with(Quantity::Max, percentile(&done.times, 1.0))
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0))
        .with_some(
            Quantity::RssPerStream,
            used.map(|used| (used.rss - used.rss_before) / alive),
        ))
}

//! S6: how soon the upstream learns that nobody listens any more.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Scale;
use crate::clock::{ms_between, now_ns};
use crate::job::Job;
use crate::load::{Answer, Connection};
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

const BODY: usize = 1 << 10;
/// Between two events that flow, in milliseconds.
const PERIOD: u32 = 20;
/// Events flow when the client has so many bytes of them, which is three.
const FLOWING: u64 = 1_200;
/// A client that has nothing by then leaves without: some proxies hold events back.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// After this it counts as never.
const NEVER: Duration = Duration::from_secs(10);
/// So long is tried; whoever takes longer has fewer tries.
const BUDGET: Duration = Duration::from_secs(20);

/// Clients that leave while events flow.
pub(super) async fn flowing(stage: &mut Stage, scale: &Scale) -> Result<Measurement> {
    leave(stage, scale, FLOWING, |number| Job::Ticks {
        number,
        period: PERIOD,
        phase: 0,
    })
    .await
}

/// Clients that leave while nothing is said.
pub(super) async fn silent(stage: &mut Stage, scale: &Scale) -> Result<Measurement> {
    leave(stage, scale, 1, |number| Job::Silent { number }).await
}

async fn leave(
    stage: &mut Stage,
    scale: &Scale,
    enough: u64,
    job: impl Fn(u32) -> Job,
) -> Result<Measurement> {
    let began = Instant::now();
    let mut times = Vec::new();
    let mut tries = 0_u32;
    // The first one does not count: it has to connect to the upstream.
    while tries <= scale.tries && began.elapsed() < BUDGET {
        let request = stage.request(job(tries), BODY);
        let mut connection = Connection::open(stage.address, 4 << 10).await?;
        connection.send(&request).await?;
        let mut answer = Answer::default();
        let some = connection.receive(&mut answer, |_| {}, |answer| answer.size >= enough);
        match tokio::time::timeout(IMPATIENCE, some).await {
            Ok(some) => some?,
            Err(_held_back) => {}
        }
        let left = now_ns();
        drop(connection);
        // The load has nothing else to do, so it may block.
        let gone = stage.gone(tries, NEVER)?;
        if tries > 0
            && let Some(gone) = gone
        {
            times.push(ms_between(left, gone));
        }
        tries += 1;
    }
    ensure!(tries > 1, "one try took longer than {} s", BUDGET.as_secs());
    #[expect(clippy::cast_precision_loss, reason = "dozens of tries")]
    let share = times.len() as f64 * 100.0 / f64::from(tries - 1);
    let measurement = Measurement::default().with(Quantity::Share, share);
    if times.is_empty() {
        return Ok(measurement);
    }
    Ok(measurement
        .with(Quantity::P50, percentile(&times, 0.5))
        .with(Quantity::Max, percentile(&times, 1.0)))
}

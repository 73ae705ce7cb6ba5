//! S8: more streams at once than one HTTP/2 connection may have.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Scale;
use crate::clock::{ms_between, now_ns};
use crate::job::Job;
use crate::load::{Answer, Connection, Stamps};
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

const CLIENTS: usize = 500;
const BODY: usize = 1 << 10;
/// How long each answer goes on, in milliseconds: longer than all should take to arrive.
const HOLD: u32 = 3_000;
/// After this one counts as never arrived.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Between two clients: time for a TLS handshake, for those who make one for each. None leaves before
/// the last is there.
const PAUSE: Duration = Duration::from_millis(1);

/// All are there at once; each answer says when its request was there.
pub(super) async fn all_at_once(stage: &mut Stage, _scale: &Scale) -> Result<Measurement> {
    let mut first = Connection::open(stage.address, 4 << 10).await?;
    first
        .exchange(&stage.request(Job::Late { hold: 0 }, BODY), |_| {})
        .await?;

    let request = stage.request(Job::Late { hold: HOLD }, BODY);
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Connection::open(stage.address, 4 << 10).await?);
    }
    let mut streams = JoinSet::new();
    let mut turn = Instant::now();
    for mut connection in connections {
        let request = request.clone();
        turn += PAUSE;
        streams.spawn(tokio::time::timeout(TIMEOUT, async move {
            tokio::time::sleep_until(turn).await;
            let sent = now_ns();
            connection.send(&request).await?;
            let mut arrived = None;
            let mut stamps = Stamps::default();
            let body = |data: &[u8]| stamps.take(data, |stamp| arrived = Some(stamp));
            connection
                .receive(&mut Answer::default(), body, Answer::is_over)
                .await?;
            let arrived = arrived.context("an answer without a stamp")?;
            anyhow::Ok(ms_between(sent, arrived))
        }));
    }
    let mut times = Vec::new();
    while let Some(time) = streams.join_next().await {
        if let Ok(Ok(time)) = time? {
            times.push(time);
        }
    }
    ensure!(!times.is_empty(), "no request arrived");
    let seen = stage.seen()?;
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let (share, connections) = (
        times.len() as f64 * 100.0 / CLIENTS as f64,
        (seen.h1 + seen.h2) as f64,
    );
    Ok(Measurement::default()
        .with(Quantity::Share, share)
        .with(Quantity::P50, percentile(&times, 0.5))
        .with(Quantity::Max, percentile(&times, 1.0))
        .with(Quantity::Connections, connections))
}

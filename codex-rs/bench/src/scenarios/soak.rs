//! S11: whether something is left of each of very many requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use super::{Scale, latency};
use crate::load::{Answer, Connection};
use crate::measurement::{Measurement, Quantity};
use crate::process::Held;
use crate::stage::Stage;

const CLIENTS: usize = 16;
/// Requests before what is in use is looked at for the first time.
const FIRST: usize = 10_000;
/// A client connects again after so many requests, and leaves one answer unread after so many.
const PER_CONNECTION: usize = 100;
const PER_LEAVING: usize = 1_000;
/// How long the contestant may settle before it is looked at.
const SETTLE: Duration = Duration::from_secs(1);

/// Very many requests; what there is more at the end than there was after the first of them.
pub(super) async fn drift(stage: &Stage, scale: &Scale) -> Result<Measurement> {
    let first = FIRST.min(scale.soak / 2).max(CLIENTS);
    many(stage, first).await?;
    tokio::time::sleep(SETTLE).await;
    let before = stage.held()?;
    let began = Instant::now();
    let watched = stage.watch()?;
    let rest = scale.soak.saturating_sub(first).max(CLIENTS);
    many(stage, rest).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let used = watched.end()?;
    tokio::time::sleep(SETTLE).await;
    let both = before.zip(stage.held()?);
    let grown = |of: fn(&Held) -> f64| both.as_ref().map(|(before, after)| of(after) - of(before));
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    let rest = rest as f64;
    Ok(Measurement::default()
        .with_some(Quantity::RssDrift, grown(|held| held.rss / 1024.0))
        .with_some(Quantity::DescriptorDrift, grown(|held| held.descriptors))
        .with_some(Quantity::ThreadDrift, grown(|held| held.threads))
        .with_some(Quantity::Rss, used.map(|used| used.rss / 1024.0))
        .with_some(
            Quantity::CpuPerThousand,
            used.map(|used| used.cpu * 1000.0 / rest),
        )
        .with(Quantity::Rate, rest / elapsed))
}

async fn many(stage: &Stage, requests: usize) -> Result<()> {
    let crowd = latency::crowd(stage, Duration::MAX);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let request = Arc::clone(&crowd.request);
        let each = requests.div_ceil(CLIENTS);
        clients.spawn(one_client(crowd.address, request, crowd.answer, each));
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}

async fn one_client(
    address: SocketAddr,
    request: Arc<[u8]>,
    size: u64,
    requests: usize,
) -> Result<()> {
    let connect = || Connection::open(address, 4 << 10);
    let mut connection = connect().await?;
    for number in 1..=requests {
        if number % PER_LEAVING == 0 {
            connection.send(&request).await?;
            let mut answer = Answer::default();
            let begun = connection.receive(&mut answer, |_| {}, |answer| answer.status != 0);
            begun.await.context("an answer that was to be left")?;
            connection = connect().await?;
            continue;
        }
        let answer = connection.exchange(&request, |_| {}).await?;
        ensure!(
            answer.size == size,
            "an answer of {} bytes instead of {size}",
            answer.size
        );
        if number % PER_CONNECTION == 0 {
            connection = connect().await?;
        }
    }
    Ok(())
}

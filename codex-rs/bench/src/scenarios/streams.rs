//! S3: thousands of answers at once, of which each says something now and then.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::Scale;
use crate::clock::{ms_between, now_ns};
use crate::job::Job;
use crate::load::{Answer, Connection, Stamps};
use crate::measurement::{Measurement, Quantity};
use crate::stage::Stage;
use crate::statistics::percentile;

/// Between two events of a stream, in milliseconds.
const PERIOD: u32 = 500;
const BODY: usize = 1 << 10;
/// Between two streams while they begin: time for a TLS handshake, for those who make one for each.
const PAUSE: Duration = Duration::from_millis(1);
/// How long all of them may take to begin, counted from when the last one was to.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the streams have told so far.
#[derive(Default)]
struct Heard {
    begun: usize,
    /// Those that had begun.
    cut: usize,
    /// Those that never began.
    refused: usize,
    /// Of the events since the measurement began, in milliseconds.
    latencies: Option<Vec<f64>>,
}

/// So many streams whose events are spread evenly over the period.
pub(super) async fn spread(stage: &Stage, scale: &Scale, count: u32) -> Result<Measurement> {
    let heard = Rc::new(RefCell::new(Heard::default()));
    let local = LocalSet::new();
    local.run_until(measure(stage, scale, count, &heard)).await
}

async fn measure(
    stage: &Stage,
    scale: &Scale,
    count: u32,
    heard: &Rc<RefCell<Heard>>,
) -> Result<Measurement> {
    let watched = stage.watch()?;
    let start = Instant::now();
    let mut streams = JoinSet::new();
    for number in 0..count {
        let phase = u64::from(number) * u64::from(PERIOD) / u64::from(count);
        let phase = u32::try_from(phase).unwrap_or_default();
        let job = Job::Ticks {
            number,
            period: PERIOD,
            phase,
        };
        let (request, turn) = (stage.request(job, BODY), start + PAUSE * number);
        let (heard, address) = (Rc::clone(heard), stage.address);
        streams.spawn_local(async move {
            tokio::time::sleep_until(turn).await;
            let mut has_begun = false;
            if stream(address, &request, &heard, &mut has_begun)
                .await
                .is_err()
            {
                let mut heard = heard.borrow_mut();
                if has_begun {
                    heard.cut += 1;
                } else {
                    heard.refused += 1;
                }
            }
        });
    }
    let all = count as usize;
    let begun = async {
        while heard.borrow().begun + heard.borrow().refused < all {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Those that have not begun by then will not be counted.
    let deadline = start + PAUSE * count + TIMEOUT;
    let _late = tokio::time::timeout_at(deadline, begun).await;
    let ramp = watched.end()?;
    tokio::time::sleep(scale.warm_up).await;

    // Twice as long as others: a stream has two events in a second.
    let time = scale.time * 2;
    let watched = stage.watch()?;
    heard.borrow_mut().latencies = Some(Vec::new());
    tokio::time::sleep(time).await;
    let latencies = heard.borrow_mut().latencies.take().unwrap_or_default();
    let used = watched.end()?;
    let alive = heard.borrow().begun - heard.borrow().cut;
    ensure!(!latencies.is_empty(), "no stream had an event");
    #[expect(clippy::cast_precision_loss, reason = "thousands of streams")]
    let (alive, all) = (alive as f64, all as f64);
    let grown = ramp
        .zip(used)
        .map(|(ramp, used)| used.rss.max(ramp.rss) - ramp.rss_before);
    Ok(Measurement::default()
        .with(Quantity::Share, alive * 100.0 / all)
        .with(Quantity::P50, percentile(&latencies, 0.5))
        .with(Quantity::P90, percentile(&latencies, 0.9))
        .with(Quantity::P99, percentile(&latencies, 0.99))
        .with(Quantity::P999, percentile(&latencies, 0.999))
        .with(Quantity::Max, percentile(&latencies, 1.0))
        .with_some(
            Quantity::CpuShare,
            used.map(|used| used.cpu * 100.0 / time.as_secs_f64()),
        )
        .with_some(Quantity::RssPerStream, grown.map(|grown| grown / alive))
        .with_some(Quantity::Threads, used.map(|used| used.threads)))
}

/// One stream, until it is cut; `has_begun` says whether it had an event.
async fn stream(
    address: std::net::SocketAddr,
    request: &[u8],
    heard: &RefCell<Heard>,
    has_begun: &mut bool,
) -> Result<()> {
    let mut connection = Connection::open(address, 1 << 10).await?;
    connection.send(request).await?;
    let mut stamps = Stamps::default();
    let body = |data: &[u8]| {
        let now = now_ns();
        stamps.take(data, |stamp| {
            let mut heard = heard.borrow_mut();
            heard.begun += usize::from(!*has_begun);
            *has_begun = true;
            if let Some(latencies) = &mut heard.latencies {
                latencies.push(ms_between(stamp, now));
            }
        });
    };
    connection
        .receive(&mut Answer::default(), body, |_| false)
        .await
}

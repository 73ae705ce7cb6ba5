//! S5: large requests.

use std::time::Duration;

use anyhow::Result;

use super::{Scale, by_volume};
use crate::job::Job;
use crate::load::Crowd;
use crate::measurement::Measurement;
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
    Ok(by_volume(bytes, &done, used))
}

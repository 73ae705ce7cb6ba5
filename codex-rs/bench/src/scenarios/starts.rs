//! S7: from nothing to the first answer, and what is there then.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Scale;
use crate::contestant::Contestant;
use crate::measurement::{Measurement, Quantity};
use crate::stage::{Conditions, Ground, Stage, Wire};
use crate::statistics::percentile;

/// How long a contestant may settle before its idle memory is read.
const SETTLE: Duration = Duration::from_millis(200);

/// Starts it again and again; `None` if there is nothing to start.
pub(super) fn again_and_again(
    contestant: &Contestant,
    scale: &Scale,
    ground: &Ground,
) -> Result<Option<Measurement>> {
    let mut times = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..scale.starts {
        // As in production: with a system's certificate authorities to load.
        let conditions = Conditions {
            wire: Wire::Tls,
            link: None,
            send_buffer: None,
            authorities: true,
        };
        let stage = Stage::set(contestant, conditions, ground)?;
        let Some(ready) = stage.ready() else {
            return Ok(None);
        };
        times.push(ready);
        std::thread::sleep(SETTLE);
        let used = stage.watch()?.end()?.context("a process")?;
        idle.push(used.rss_before / 1024.0);
    }
    let file = std::fs::metadata(&contestant.program).context("the program's file")?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    let binary = file.len() as f64 / 1e6;
    let measurement = Measurement {
        upstream: "not used",
        ..Measurement::default()
    };
    Ok(Some(
        measurement
            .with(Quantity::P50, percentile(&times, 0.5))
            .with(Quantity::Max, percentile(&times, 1.0))
            .with(Quantity::IdleRss, percentile(&idle, 0.5))
            .with(Quantity::Binary, binary),
    ))
}

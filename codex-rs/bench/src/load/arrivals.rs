//! Requests that come when they come, whether those before have been answered or not.
//!
//! Clients that ask again once they are answered ask less of whoever is slow, and what they would have waited
//! meanwhile is in no figure ("coordinated omission"). Here the times are drawn beforehand, the same for everyone,
//! and a latency begins when a request was due, not when it could be sent.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::Timespec;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinSet, LocalSet};

use super::Connection;
use crate::clock::{ms_between, now_ns};

/// How long after the last one was due an answer may come.
const GRACE: Duration = Duration::from_secs(10);

/// Where the pseudo-random numbers begin.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Requests at random times, in a Poisson process.
pub(crate) struct Arrivals {
    pub(crate) address: SocketAddr,
    pub(crate) request: Arc<[u8]>,
    /// The size that each answer's body has to have, in bytes.
    pub(crate) answer: u64,
    /// Of them in a second, on average.
    pub(crate) rate: f64,
    pub(crate) time: Duration,
}

/// What came of it.
pub(crate) struct Arrived {
    /// How many were due.
    pub(crate) due: usize,
    /// From when each was due to the end of its answer, in milliseconds, of those that had one.
    pub(crate) times: Vec<f64>,
}

impl Arrivals {
    /// Lets them come, on the current thread.
    ///
    /// # Errors
    /// When an answer is wrong or a connection is refused; that answers are late is a result.
    pub(crate) async fn run(&self) -> Result<Arrived> {
        LocalSet::new().run_until(self.come()).await
    }

    async fn come(&self) -> Result<Arrived> {
        let free = Rc::new(RefCell::new(Vec::new()));
        let mut under_way = JoinSet::new();
        let mut arrived = Arrived {
            due: 0,
            times: Vec::new(),
        };
        // So that the first is not late already.
        let mut due = now_ns() + 1_000_000;
        let end = due + u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        let mut random = Random(SEED);
        let mut dues = Vec::new();
        while due < end {
            dues.push(due);
            due += random.gap(self.rate);
        }
        let mut alarm = alarm(dues);
        while let Some(due) = alarm.recv().await {
            arrived.due += 1;
            let (free, request) = (Rc::clone(&free), Arc::clone(&self.request));
            let (address, size) = (self.address, self.answer);
            under_way.spawn_local(async move {
                let one: Option<Connection> = free.borrow_mut().pop();
                let mut one = match one {
                    Some(one) => one,
                    None => Connection::open(address, 64 << 10).await?,
                };
                let answer = one.exchange(&request, |_| {}).await?;
                ensure!(
                    answer.size == size,
                    "an answer of {} bytes instead of {size}",
                    answer.size
                );
                free.borrow_mut().push(one);
                anyhow::Ok(ms_between(due, now_ns()))
            });
            while let Some(done) = under_way.try_join_next() {
                arrived.times.push(done??);
            }
        }
        let rest = async {
            while let Some(done) = under_way.join_next().await {
                arrived.times.push(done??);
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(GRACE, rest).await {
            Ok(rest) => rest?,
            Err(_late) => {}
        }
        if arrived.times.is_empty() {
            bail!("no request was answered in time");
        }
        Ok(arrived)
    }
}

impl Arrived {
    /// How many were answered, in percent.
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub(crate) fn share(&self) -> f64 {
        self.times.len() as f64 * 100.0 / self.due as f64
    }
}

/// Says when each of these times of [`crate::clock`] has come, from a thread of its own: timers of tokio are only
/// as fine as a millisecond.
fn alarm(dues: Vec<u64>) -> UnboundedReceiver<u64> {
    let (say, said) = unbounded_channel();
    std::thread::spawn(move || {
        // Else the kernel may be 50 microseconds late to save a wake-up. That is worse, not wrong.
        let _coarser = set_current_timer_slack(NonZeroU64::new(1));
        for due in dues {
            let time = Timespec {
                tv_sec: i64::try_from(due / 1_000_000_000).unwrap_or_default(),
                tv_nsec: i64::try_from(due % 1_000_000_000).unwrap_or_default(),
            };
            while clock_nanosleep_absolute(ClockId::Monotonic, &time).is_err() {}
            if say.send(due).is_err() {
                return;
            }
        }
    });
    said
}

/// Pseudo-random numbers (xorshift64*, Vigna 2016): the same for every contestant.
struct Random(u64);

impl Random {
    /// Nanoseconds to the next one, distributed exponentially.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "53 bits of randomness, and nanoseconds"
    )]
    fn gap(&mut self, rate: f64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        // From 0, exclusive, to 1.
        let uniform = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        (-uniform.ln() / rate * 1e9) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_as_long_on_average_as_the_rate_says_and_vary_as_much() {
        let mut random = Random(SEED);
        let count = 100_000;
        let gaps: Vec<f64> = (0..count)
            .map(|_| random.gap(1000.0) as f64 / 1e6)
            .collect();
        let mean = gaps.iter().sum::<f64>() / f64::from(count);
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / f64::from(count);
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn an_alarm_is_not_early_and_one_that_is_past_is_at_once() {
        let now = now_ns();
        let dues = vec![1, now, now + 1_500_000, now + 1_500_001];
        let mut alarm = alarm(dues.clone());
        for due in dues {
            assert_eq!(alarm.blocking_recv(), Some(due));
            assert!(now_ns() >= due);
        }
        assert_eq!(alarm.blocking_recv(), None);
    }
}

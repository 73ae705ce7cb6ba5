//! Several clients that repeat one request until a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::Connection;
use crate::clock::{ms_between, now_ns};

/// Who asks for what, and for how long.
#[derive(Clone)]
pub(crate) struct Crowd {
    pub(crate) address: SocketAddr,
    pub(crate) clients: usize,
    pub(crate) request: Arc<[u8]>,
    /// The size that each answer's body has to have, in bytes.
    pub(crate) answer: u64,
    /// No new request after this.
    pub(crate) time: Duration,
    /// Nor after so many of each client.
    pub(crate) most: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// How long each exchange took, in milliseconds.
    pub(crate) times: Vec<f64>,
    /// How long it took in all.
    pub(crate) elapsed: Duration,
}

impl Done {
    /// Exchanges, as a number to divide by.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn count(&self) -> f64 {
        self.times.len() as f64
    }

    /// Exchanges per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    /// What 1,000 exchanges took of what all took.
    pub(crate) fn per_thousand(&self, all: f64) -> f64 {
        all * 1000.0 / self.count()
    }
}

impl Crowd {
    /// Lets them all run at once, on the current thread.
    ///
    /// # Errors
    /// When one exchange fails or its answer has not the expected size: what is not right is not
    /// measured.
    pub(crate) async fn run(&self) -> Result<Done> {
        let start = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            clients.spawn(self.clone().one_client(start));
        }
        let mut done = Done::default();
        while let Some(times) = clients.join_next().await {
            done.times.extend(times??);
        }
        done.elapsed = start.elapsed();
        Ok(done)
    }

    async fn one_client(self, start: Instant) -> Result<Vec<f64>> {
        let mut connection = Connection::open(self.address, 64 << 10).await?;
        let mut times = Vec::new();
        while times.len() < self.most && start.elapsed() < self.time {
            let began = now_ns();
            let answer = connection.exchange(&self.request, |_| {}).await?;
            times.push(ms_between(began, now_ns()));
            ensure!(
                answer.size == self.answer,
                "an answer of {} bytes instead of {}",
                answer.size,
                self.answer
            );
        }
        Ok(times)
    }
}

//! A pool whose connections are fakes that come about when the test says so.

mod http1;
mod multiplexed;
mod waiting;

use super::connections::KEPT_IDLE;
use super::*;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// What a fake connection turns out to be.
#[derive(Clone)]
struct Fake {
    number: usize,
    is_open: Arc<AtomicBool>,
    is_ready: Arc<AtomicBool>,
    capacity: usize,
    is_multiplexed: bool,
}

impl Pooled for Fake {
    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn is_multiplexed(&self) -> bool {
        self.is_multiplexed
    }
}

type Outcome = Result<Fake, UpstreamError>;

/// Connections that come about when the test says so.
#[derive(Clone, Default)]
struct Maker {
    begun: Arc<AtomicUsize>,
    pending: Arc<Mutex<VecDeque<oneshot::Sender<Outcome>>>>,
    /// Told when the server speaks.
    speakers: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
    kind: Option<bool>,
}

const EXPECTED: usize = 4;

impl Connect for Maker {
    type Connection = Fake;

    async fn connect(&self) -> Result<(Fake, impl Future<Output = ()> + Send), UpstreamError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let (done, outcome) = oneshot::channel();
        self.pending.lock().unwrap().push_back(done);
        let (speak, spoken) = oneshot::channel();
        let fake = outcome.await.unwrap()?;
        self.speakers.lock().unwrap().push(speak);
        Ok((fake, async move { drop(spoken.await) }))
    }

    fn is_multiplexed(&self) -> Option<bool> {
        self.kind
    }

    fn expected_capacity() -> usize {
        EXPECTED
    }
}

struct Stage {
    maker: Maker,
    pool: Arc<Pool<Maker>>,
    made: usize,
    /// Whether connections that were used can be used again.
    are_ready: Arc<AtomicBool>,
}

impl Stage {
    fn of(kind: Option<bool>) -> Self {
        let maker = Maker {
            kind,
            ..Maker::default()
        };
        let pool = Arc::new(Pool::new(maker.clone(), 2));
        Self {
            maker,
            pool,
            made: 0,
            are_ready: Arc::new(AtomicBool::new(true)),
        }
    }

    fn begun(&self) -> usize {
        self.maker.begun.load(Ordering::Relaxed)
    }

    /// Requests of one caller, each a task of its own.
    async fn ask(&self, caller: u32, count: usize) -> Vec<Asked> {
        let asked = (0..count)
            .map(|_| {
                let pool = Arc::clone(&self.pool);
                tokio::spawn(async move { pool.take(&Caller::new(Some(caller), None)).await })
            })
            .collect();
        settle().await;
        asked
    }

    /// The connection begun first comes about.
    async fn connected(&mut self, capacity: usize, is_multiplexed: bool) -> Arc<AtomicBool> {
        let is_open = Arc::new(AtomicBool::new(true));
        let fake = Fake {
            number: self.made,
            is_open: Arc::clone(&is_open),
            // As hyper's is until the task that drives it has had a turn.
            is_ready: Arc::clone(&self.are_ready),
            capacity,
            is_multiplexed,
        };
        self.made += 1;
        self.finish(Ok(fake)).await;
        is_open
    }

    async fn finish(&self, outcome: Outcome) {
        let done = self.maker.pending.lock().unwrap().pop_front().unwrap();
        assert!(done.send(outcome).is_ok());
        settle().await;
    }

    async fn servers_speak(&self) {
        self.maker.speakers.lock().unwrap().clear();
        settle().await;
    }
}

type Asked = tokio::task::JoinHandle<Result<Lease<Maker>, UpstreamError>>;

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The leases of those that have one, and the others.
async fn served(asked: Vec<Asked>) -> (Vec<Lease<Maker>>, Vec<Asked>) {
    let (mut leases, mut waiting) = (Vec::new(), Vec::new());
    for each in asked {
        if each.is_finished() {
            leases.push(each.await.unwrap().ok().unwrap());
        } else {
            waiting.push(each);
        }
    }
    (leases, waiting)
}

fn numbers(leases: &[Lease<Maker>]) -> Vec<usize> {
    leases.iter().map(|lease| lease.connection.number).collect()
}

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

#[tokio::test(start_paused = true)]
async fn a_burst_opens_as_many_connections_as_it_needs_and_one_carries_one_until_it_has_spoken() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 6).await;
    assert_eq!(stage.begun(), 2);
    stage.connected(4, true).await;
    let (first, waiting) = served(asked).await;
    assert_eq!(numbers(&first), [0]);
    stage.servers_speak().await;
    let (more, waiting) = served(waiting).await;
    assert_eq!(numbers(&more), [0, 0, 0]);
    stage.connected(4, true).await;
    stage.servers_speak().await;
    let (rest, waiting) = served(waiting).await;
    assert_eq!((numbers(&rest), waiting.len()), (vec![1, 1], 0));
    assert_eq!(stage.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_allows_little_gets_more_connections() {
    let mut stage = Stage::of(None);
    let mut waiting = stage.ask(1, 6).await;
    let mut leases = Vec::new();
    while !waiting.is_empty() {
        stage.connected(1, true).await;
        stage.servers_speak().await;
        let (more, others) = served(waiting).await;
        leases.extend(more);
        waiting = others;
    }
    assert_eq!(numbers(&leases), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn callers_share_nothing() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 1).await;
    stage.connected(4, true).await;
    stage.servers_speak().await;
    let (first, _) = served(asked).await;
    let other = stage.ask(2, 1).await;
    assert_eq!(stage.begun(), 2);
    stage.connected(4, true).await;
    let (second, _) = served(other).await;
    assert_eq!((numbers(&first), numbers(&second)), (vec![0], vec![1]));
    drop((first, second));
    let again = served(stage.ask(1, 1).await).await.0;
    let other = served(stage.ask(2, 1).await).await.0;
    assert_eq!((numbers(&again), numbers(&other)), (vec![0], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn the_first_caller_takes_over_what_the_proxy_had_made() {
    let mut stage = Stage::of(None);
    let pool = Arc::clone(&stage.pool);
    let ours = tokio::spawn(async move { pool.take(&Caller::proxy()).await });
    settle().await;
    stage.connected(4, true).await;
    stage.servers_speak().await;
    drop(ours.await.unwrap());
    let (first, _) = served(stage.ask(1, 1).await).await;
    assert_eq!((numbers(&first), stage.begun()), (vec![0], 1));
    assert!(first[0].is_reused());
    let _second = stage.ask(2, 1).await;
    assert_eq!(stage.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn room_that_is_given_back_goes_to_whoever_waits() {
    let mut stage = Stage::of(Some(true));
    let asked = stage.ask(1, 1).await;
    stage.connected(1, true).await;
    stage.servers_speak().await;
    let (first, _) = served(asked).await;
    let waiting = stage.ask(1, 1).await;
    drop(first);
    settle().await;
    let (second, _) = served(waiting).await;
    assert_eq!(numbers(&second), [0]);
}

#[tokio::test(start_paused = true)]
async fn where_one_takes_long_another_is_tried_and_then_all_go() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 3).await;
    assert_eq!(stage.begun(), 1);
    tokio::time::sleep(TRY_ANOTHER_AFTER + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(stage.begun(), 2, "three wait, and one more is tried");
    let stuck = stage.maker.pending.lock().unwrap().pop_front();
    stage.connected(4, true).await;
    stage.servers_speak().await;
    assert_eq!(served(asked).await.0.len(), 3);
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_final_for_whoever_began_and_the_others_try_once_more() {
    let mut stage = Stage::of(None);
    let fault = || Err(UpstreamError::Connect("refused".to_owned()));
    let mut asked = stage.ask(1, 3).await;
    stage.finish(fault()).await;
    assert!(asked.remove(0).await.unwrap().is_err());
    assert_eq!(stage.begun(), 2);
    assert!(asked.iter().all(|each| !each.is_finished()));
    stage.connected(4, true).await;
    stage.servers_speak().await;
    assert_eq!(served(asked).await.0.len(), 2);

    let refused = Stage::of(None);
    let asked = refused.ask(1, 3).await;
    refused.finish(fault()).await;
    refused.finish(fault()).await;
    for each in asked {
        assert!(matches!(
            each.await.unwrap().err(),
            Some(UpstreamError::Connect(_))
        ));
    }
    assert_eq!(refused.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_stops_nobody_else() {
    let mut stage = Stage::of(None);
    let mut asked = stage.ask(1, 3).await;
    asked.remove(0).abort();
    stage.connected(4, true).await;
    stage.servers_speak().await;
    let (leases, waiting) = served(asked).await;
    assert_eq!((leases.len(), waiting.len(), stage.begun()), (2, 0, 1));
    let slots = |stage: &Stage| {
        let connections = stage.pool.0.lock();
        connections.callers[&Caller::new(Some(1), None)].multiplexed[0].in_use
    };
    assert_eq!(slots(&stage), 2);
    drop(leases);
    assert_eq!(slots(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn over_http_1_each_has_a_connection_and_idle_ones_are_used_again() {
    let mut stage = Stage::of(Some(false));
    let asked = stage.ask(1, 3).await;
    assert_eq!(stage.begun(), 3);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(stage.connected(1, false).await);
    }
    let (leases, _) = served(asked).await;
    assert_eq!(numbers(&leases), [0, 1, 2]);
    // Two are kept, whatever there was: those used last.
    drop(leases);
    assert_eq!(stage.pool.0.lock().idle, 2);
    open[1].store(false, Ordering::Relaxed);
    let (again, _) = served(stage.ask(1, 1).await).await;
    assert_eq!((numbers(&again), stage.begun()), (vec![2], 3));
    assert_eq!(stage.pool.0.lock().idle, 0);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_one_caller_closes_no_idle_connection_of_another() {
    let mut stage = Stage::of(Some(false));
    let one = stage.ask(1, 1).await;
    stage.connected(1, false).await;
    drop(served(one).await.0);
    let crowd = stage.ask(2, 5).await;
    for _ in 0..5 {
        stage.connected(1, false).await;
    }
    drop(served(crowd).await.0);
    let idle = |caller: u32| {
        let connections = stage.pool.0.lock();
        connections.callers[&Caller::new(Some(caller), None)]
            .idle
            .len()
    };
    assert_eq!((idle(1), idle(2)), (1, 1));
    let (again, _) = served(stage.ask(1, 1).await).await;
    assert_eq!(numbers(&again), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_used_at_once_and_one_whose_answer_has_just_ended_after_a_turn() {
    let mut stage = Stage::of(Some(false));
    stage.are_ready.store(false, Ordering::Relaxed);
    let asked = stage.ask(1, 1).await;
    stage.connected(1, false).await;
    let (lease, _) = served(asked).await;
    assert_eq!((numbers(&lease), stage.begun()), (vec![0], 1));
    drop(lease);
    // It becomes ready in the turn that is left to it.
    let are_ready = Arc::clone(&stage.are_ready);
    let pool = Arc::clone(&stage.pool);
    let again = tokio::spawn(async move { pool.take(&Caller::new(Some(1), None)).await });
    let driver = tokio::spawn(async move { are_ready.store(true, Ordering::Relaxed) });
    driver.await.unwrap();
    assert_eq!(again.await.unwrap().ok().unwrap().connection.number, 0);
    assert_eq!(stage.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_burst_over_http_1_that_was_not_known_opens_one_for_each() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 3).await;
    assert_eq!(stage.begun(), 1);
    stage.connected(1, false).await;
    assert_eq!(stage.begun(), 3);
    stage.connected(1, false).await;
    stage.connected(1, false).await;
    assert_eq!(served(asked).await.0.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_a_connection_carries_one_request_each_request_gets_one() {
    const REQUESTS: usize = MANY_MULTIPLEXED + 20;
    let mut stage = Stage::of(Some(true));
    let mut waiting = stage.ask(1, REQUESTS).await;
    let mut leases = Vec::new();
    for _ in 0..REQUESTS {
        stage.connected(1, true).await;
        stage.servers_speak().await;
        let (more, others) = served(waiting).await;
        leases.extend(more);
        waiting = others;
    }
    assert_eq!((leases.len(), waiting.len()), (REQUESTS, 0));
    assert_eq!(stage.begun(), REQUESTS);
}

/// A server that turns out to allow no requests at all.
#[tokio::test(start_paused = true)]
async fn a_caller_whose_connections_may_carry_nothing_is_told_so_after_a_while() {
    let mut stage = Stage::of(Some(true));
    let mut waiting = stage.ask(1, MANY_MULTIPLEXED).await;
    for _ in 0..MANY_MULTIPLEXED {
        stage.connected(0, true).await;
        stage.servers_speak().await;
        // Carried before the server had spoken; and over.
        let (more, others) = served(waiting).await;
        drop(more);
        waiting = others;
    }
    assert!(waiting.is_empty());
    let mut late = stage.ask(1, 1).await;
    tokio::time::sleep(CONNECT_TIMEOUT + TRY_ANOTHER_AFTER).await;
    let refused = late.remove(0).await.unwrap();
    assert!(matches!(refused.err(), Some(UpstreamError::Busy)));
    assert_eq!(stage.begun(), MANY_MULTIPLEXED);
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_for_long_is_closed_and_nothing_is_left() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 1).await;
    stage.connected(4, true).await;
    stage.servers_speak().await;
    drop(served(asked).await.0);
    tokio::time::sleep(KEPT_IDLE - SWEEP_EVERY).await;
    assert_eq!(stage.pool.0.lock().callers.len(), 1);
    tokio::time::sleep(SWEEP_EVERY * 2).await;
    assert_eq!(stage.pool.0.lock().callers.len(), 0);
    let _next = stage.ask(1, 1).await;
    assert_eq!(stage.begun(), 2);
}

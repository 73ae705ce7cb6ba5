use crate::lifecycle::clock::since_boot;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::time::{Instant, advance, sleep};

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// By tokio's clock, which tests pause.
fn refresher() -> Rc<Refresher<impl Fn() -> Duration>> {
    let begun = Instant::now();
    Rc::new(Refresher::new(move || begun.elapsed()))
}

#[derive(Clone, Default)]
struct Endpoint {
    attempts: Rc<Cell<u64>>,
    is_down: Rc<Cell<bool>>,
    lifetime: Rc<Cell<Duration>>,
    takes: Rc<Cell<Duration>>,
}

impl Endpoint {
    fn living(lifetime: Duration) -> Self {
        let endpoint = Self::default();
        endpoint.lifetime.set(lifetime);
        endpoint.takes.set(Duration::from_millis(100));
        endpoint
    }

    async fn attempt(&self) -> Result<Duration, &'static str> {
        self.attempts.set(self.attempts.get() + 1);
        sleep(self.takes.get()).await;
        if self.is_down.get() {
            return Err("the endpoint is down");
        }
        Ok(self.lifetime.get())
    }
}

/// Runs `test` beside the task that makes attempts.
async fn beside<C: Fn() -> Duration>(
    refresher: &Refresher<C>,
    endpoint: &Endpoint,
    test: impl Future<Output = ()>,
) {
    tokio::select! {
        () = refresher.run(async |_| endpoint.attempt().await, || 0) => unreachable!(),
        () = test => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_wait_for_one_attempt() {
    let (refresher, endpoint) = (refresher(), Endpoint::living(secs(3600)));
    let got = RefCell::new(Vec::new());
    beside(&refresher, &endpoint, async {
        let local = tokio::task::LocalSet::new();
        for _ in 0..1000 {
            let refresher = Rc::clone(&refresher);
            local.spawn_local(async move { assert_eq!(refresher.current().await, Ok(1)) });
        }
        local.await;
        got.borrow_mut().push(1);
    })
    .await;
    assert_eq!((endpoint.attempts.get(), got.borrow().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn tokens_with_a_short_life_serve_without_a_gap() {
    let (refresher, endpoint) = (refresher(), Endpoint::living(secs(5)));
    let mut first = async |_| endpoint.attempt().await;
    refresher.first(&mut first).await.unwrap();
    beside(&refresher, &endpoint, async {
        for _ in 0..600 {
            let asked = Instant::now();
            refresher.current().await.unwrap();
            assert_eq!(asked.elapsed(), Duration::ZERO, "it had to wait");
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    // Every 2.5 s.
    assert!((23..=27).contains(&endpoint.attempts.get()));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_down_costs_nothing_until_the_token_expires() {
    let (refresher, endpoint) = (refresher(), Endpoint::living(secs(120)));
    let mut first = async |_| endpoint.attempt().await;
    refresher.first(&mut first).await.unwrap();
    endpoint.is_down.set(true);
    beside(&refresher, &endpoint, async {
        for _ in 0..115 {
            assert_eq!(refresher.current().await, Ok(1));
            sleep(secs(1)).await;
        }
        assert!(endpoint.attempts.get() > 3, "it is tried meanwhile");
        sleep(secs(120)).await;
        let before = endpoint.attempts.get();
        // After it has expired only requests have it tried, and not each of them.
        sleep(secs(600)).await;
        assert_eq!(endpoint.attempts.get(), before);
        for _ in 0..100 {
            let unavailable = refresher.current().await.unwrap_err();
            assert_eq!(unavailable.reason, "the endpoint is down");
            assert!(unavailable.retry_after <= secs(60));
        }
        assert_eq!(endpoint.attempts.get(), before + 1);
        endpoint.is_down.set(false);
        sleep(secs(61)).await;
        assert!(refresher.current().await.is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_401_the_next_request_gets_a_new_one() {
    let (refresher, endpoint) = (refresher(), Endpoint::living(secs(3600)));
    beside(&refresher, &endpoint, async {
        assert_eq!(refresher.current().await, Ok(1));
        assert!(refresher.rejected(1));
        assert!(!refresher.rejected(1), "by an answer that came later");
        assert_eq!(refresher.current().await, Ok(2));
        assert_eq!(endpoint.attempts.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expired_in_a_suspend_is_not_used() {
    let suspended = Rc::new(Cell::new(Duration::ZERO));
    let begun = Instant::now();
    let clock = {
        let suspended = Rc::clone(&suspended);
        move || begun.elapsed() + suspended.get()
    };
    let refresher = Refresher::new(clock);
    let endpoint = Endpoint::living(secs(3600));
    beside(&refresher, &endpoint, async {
        assert_eq!(refresher.current().await, Ok(1));
        // Timers know nothing of it.
        suspended.set(secs(8 * 3600));
        assert_eq!(refresher.current().await, Ok(2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_when_the_attempt_is_given_up() {
    let (refresher, endpoint) = (refresher(), Endpoint::living(secs(60)));
    endpoint.takes.set(secs(3600));
    let waiting = async {
        let unavailable = refresher.current().await.unwrap_err();
        assert_eq!(unavailable.reason, "the attempt was given up");
    };
    tokio::join!(
        async {
            let run = refresher.run(async |_| endpoint.attempt().await, || 0);
            assert!(tokio::time::timeout(secs(10), run).await.is_err());
        },
        waiting
    );
}

#[tokio::test(start_paused = true)]
async fn the_clock_does_not_stand_still_nor_go_back() {
    let before = since_boot();
    std::thread::sleep(Duration::from_millis(2));
    assert!(since_boot() > before);
    advance(secs(1)).await;
    assert!(since_boot() < before + secs(60));
}

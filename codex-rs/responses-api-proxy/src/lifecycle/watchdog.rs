//! Says that the proxy is well only while it is: while every thread that serves has its turn.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// More often than this nobody is told.
const SHORTEST: Duration = Duration::from_millis(1);

/// Tells somebody, by `tell`, twice in each `interval`, that `turn` came to its end, for ever. While it does not, or comes
/// to none that is good, nobody is told.
pub(crate) async fn watch<T: Future<Output = bool>>(
    interval: Duration,
    turn: impl Fn() -> T,
    tell: impl Fn(),
) {
    let every = (interval / 2).max(SHORTEST);
    let mut due = Instant::now();
    loop {
        if turn().await {
            tell();
        }
        // From the last time that it was due, so that what a turn takes does not add up.
        due = (due + every).max(Instant::now());
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::sync::Notify;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn it_is_told_twice_in_each_interval_while_there_are_turns() {
        let start = Instant::now();
        let told: Rc<RefCell<Vec<u64>>> = Rc::default();
        let tell = || told.borrow_mut().push(start.elapsed().as_secs());
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            true
        };
        let watched = watch(INTERVAL, slow, tell);
        let _ = tokio::time::timeout(Duration::from_secs(22), watched).await;
        assert_eq!(*told.borrow(), [1, 6, 11, 16, 21]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_while_a_turn_does_not_end() {
        let told: Rc<RefCell<u32>> = Rc::default();
        let release = Notify::new();
        let stuck = || async {
            release.notified().await;
            true
        };
        let watched = watch(INTERVAL, stuck, || {
            *told.borrow_mut() += 1;
        });
        let mut watched = std::pin::pin!(watched);
        let _ = tokio::time::timeout(INTERVAL * 10, watched.as_mut()).await;
        assert_eq!(*told.borrow(), 0);
        release.notify_one();
        let _ = tokio::time::timeout(INTERVAL / 4, watched.as_mut()).await;
        assert_eq!(*told.borrow(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_has_ended_is_not_well() {
        let watched = watch(INTERVAL, || async { false }, || panic!("it was told"));
        let _ = tokio::time::timeout(INTERVAL * 10, watched).await;
    }
}

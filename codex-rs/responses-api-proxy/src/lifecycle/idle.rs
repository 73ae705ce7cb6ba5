//! Whether there has been nothing to do for long enough.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long until somebody looks again while requests are in flight, or part of the time that is asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Waits until nothing has gone on for `after`. `now` says whether something does, and when something last did; `None`
/// where nobody knows, and then for ever.
pub(crate) async fn idle(after: Duration, now: impl Fn() -> Option<(bool, Instant)>) {
    loop {
        let Some((is_busy, last)) = now() else {
            return std::future::pending().await;
        };
        // A time that no clock reaches is never.
        let Some(due) = last.checked_add(after) else {
            return std::future::pending().await;
        };
        if is_busy {
            sleep_until(Instant::now() + LOOK_AGAIN.min(after)).await;
        } else if Instant::now() >= due {
            return;
        } else {
            sleep_until(due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    const AFTER: Duration = Duration::from_secs(60);

    /// When it is found idle, in seconds, with what `happens` at the seconds given: whether something is in flight from
    /// then on.
    async fn found_idle_after(happens: &'static [(u64, bool)]) -> u64 {
        let start = Instant::now();
        let state = Rc::new(Cell::new((false, start)));
        let seen = Rc::clone(&state);
        let story = async {
            for &(second, is_busy) in happens {
                sleep_until(start + Duration::from_secs(second)).await;
                state.set((is_busy, Instant::now()));
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = story => {}
            () = idle(AFTER, move || Some(seen.get())) => {}
        }
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_anew_with_whatever_happens() {
        assert_eq!(found_idle_after(&[]).await, 60);
        assert_eq!(found_idle_after(&[(59, false)]).await, 119);
        // One that comes in that very moment.
        assert_eq!(found_idle_after(&[(60, false)]).await, 120);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_keeps_it_however_long() {
        assert_eq!(found_idle_after(&[(10, true), (1000, false)]).await, 1060);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_knows_of_is_not_idle() {
        let never = tokio::time::timeout(AFTER * 100, idle(AFTER, || None)).await;
        assert!(never.is_err());
        let now = Instant::now();
        let never = idle(Duration::MAX, || Some((false, now)));
        assert!(tokio::time::timeout(AFTER * 100, never).await.is_err());
    }
}

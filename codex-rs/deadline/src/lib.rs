//! Deadlines that pass only after what has arrived was looked at.
//!
//! A process that was stopped (SIGSTOP, a frozen container), or that had no processor for a while, goes on
//! with its timers overdue, and what was sent to it meanwhile lies in its sockets. epoll_wait(2) then ends
//! with EINTR (signal(7), "Interruption of system calls and library functions by stop signals"), which the
//! runtime takes for "nothing has arrived", and all timers fire before any socket is read. So a deadline
//! that is due waits once more, for as long as it came late, and the sockets have their turn before it.
//! Ctrl-Z and a laptop's lid stop a program in the same way.
#![forbid(unsafe_code)]

use std::borrow::BorrowMut;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

/// How long the second look takes at least: one turn of the runtime, which asks the kernel in between.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// And at most: what is not read by then is not read for another reason.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// A point in time by which something should have happened. Ready when it has passed, and nothing that
/// the sockets had by then is left to be looked at.
#[derive(Debug)]
pub struct Deadline {
    sleep: Pin<Box<Sleep>>,
    was_due: bool,
}

impl Deadline {
    /// So much later than now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self::at(Instant::now() + limit)
    }

    /// This instant, by tokio's clock, which tests can pause.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(instant)),
            was_due: false,
        }
    }

    /// Moves it to so much later than now.
    pub fn put_off(&mut self, limit: Duration) {
        self.put_off_until(Instant::now() + limit);
    }

    /// Moves it to this instant.
    pub fn put_off_until(&mut self, instant: Instant) {
        self.sleep.as_mut().reset(instant);
        self.was_due = false;
    }

    /// What `future` comes to; `None` if the deadline passes first. One deadline may be asked this of
    /// several futures in turn.
    pub fn before<F: Future>(&mut self, future: F) -> Before<&mut Self, F> {
        Before {
            deadline: self,
            future,
        }
    }
}

pin_project! {
    /// A future with a deadline. Not an `async fn`: its future would have room for its argument twice, once as
    /// it was passed and once as it is polled, and again for each of these that it goes through.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Before<D, F> {
        deadline: D,
        #[pin]
        future: F,
    }
}

impl<D: BorrowMut<Deadline>, F: Future> Future for Before<D, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = self.project();
        if let Poll::Ready(outcome) = this.future.poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        let deadline: &mut Deadline = this.deadline.borrow_mut();
        Pin::new(deadline).poll(cx).map(|()| None)
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(cx));
        if !std::mem::replace(&mut self.was_due, true) {
            let now = Instant::now();
            let late = now.saturating_duration_since(self.sleep.deadline());
            let look = late.clamp(SHORTEST_LOOK, LONGEST_LOOK);
            self.sleep.as_mut().reset(now + look);
            ready!(self.sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

/// What `future` comes to; `None` if it comes to nothing within `limit`.
pub fn within<F: Future>(limit: Duration, future: F) -> Before<Deadline, F> {
    Before {
        deadline: Deadline::after(limit),
        future,
    }
}

/// Gives hyper deadlines of this kind: whether an HTTP/2 connection still lives is asked by a ping whose
/// answer has to come in time, too.
#[derive(Clone, Copy, Debug)]
pub struct Timer;

impl hyper::rt::Sleep for Deadline {}

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Deadline::after(duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Deadline::at(deadline.into()))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Deadline>() {
            Some(sleep) => sleep.get_mut().put_off_until(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// How often a future is polled until `limit` has passed for it, and how long that takes.
    async fn looks(limit: Duration) -> (usize, Duration) {
        let looks = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let never = std::future::poll_fn(|_| {
            looks.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        });
        assert_eq!(within(limit, never).await, None);
        (looks.load(Ordering::Relaxed), begun.elapsed())
    }

    #[tokio::test]
    async fn a_future_with_a_deadline_is_hardly_larger_than_itself() {
        let large = [0_u8; 4096];
        let future = async move {
            tokio::task::yield_now().await;
            large.len()
        };
        let size = size_of_val(&future);
        let limited = within(Duration::from_secs(60), future);
        assert!(size_of_val(&limited) <= size + 64);
        assert_eq!(limited.await, Some(4096));
    }

    #[tokio::test(start_paused = true)]
    async fn when_it_is_due_there_is_one_more_look() {
        let limit = Duration::from_secs(10);
        let (looks, elapsed) = looks(limit).await;
        // At the beginning, when it is due, and when it has passed.
        assert_eq!(looks, 3);
        assert!(elapsed >= limit && elapsed < limit + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_late_waits_as_long_again_and_not_for_ever() {
        for (late, expected) in [(300, 300), (60_000, 1_000)] {
            let mut deadline = Deadline::after(Duration::from_millis(10));
            tokio::time::advance(Duration::from_millis(10 + late)).await;
            let begun = Instant::now();
            (&mut deadline).await;
            let waited = begun.elapsed().as_millis();
            assert!(waited.abs_diff(expected) <= 5, "{waited} after {late}");
            // It has passed, and stays so.
            (&mut deadline).await;
            deadline.put_off(Duration::from_millis(50));
            let begun = Instant::now();
            deadline.await;
            assert!(begun.elapsed() >= Duration::from_millis(50));
        }
    }
}

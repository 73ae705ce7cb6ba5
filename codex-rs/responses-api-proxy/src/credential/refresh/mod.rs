//! When a credential that expires is got anew: one attempt at a time, however many requests wait for it.
//!
//! [`schedule`] decides, and has no clock; here are the clock, the requests that wait, and the one task that makes the
//! attempts. Time is counted through a suspend of the machine (`CLOCK_BOOTTIME`, where `CLOCK_MONOTONIC`, which timers
//! and [`std::time::Instant`] go by on Linux, stands still), and not by the time of day, which is set now and then: a
//! token that expired while a laptop slept is not sent. A timer that such a sleep made late is of no account: every request
//! asks the clock, and the task looks at it once a minute.

mod schedule;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::schedule::Next;
pub(crate) use self::schedule::{Answer, Figures, Schedule, Unavailable};

/// So often the task looks at the clock at least.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A credential that is got anew before it expires. Shared by all threads; [`run`](Self::run) by one task of one.
pub(crate) struct Refresher<C = fn() -> Duration> {
    schedule: Mutex<Schedule>,
    /// The time since some moment, on a clock that never goes back.
    clock: C,
    /// Tells requests that an attempt is over.
    is_over: Notify,
    /// Tells the task that there is something to do.
    wanted: Notify,
}

impl<C: Fn() -> Duration> Refresher<C> {
    /// With no credential yet; [`since_boot`](crate::lifecycle::clock::since_boot) is the clock, but for tests.
    pub(crate) fn new(clock: C) -> Self {
        Self {
            schedule: Mutex::new(Schedule::new()),
            clock,
            is_over: Notify::new(),
            wanted: Notify::new(),
        }
    }

    /// The generation to use now, waited for if there is none and one may be had.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: the last attempt failed, and it is too early for another.
    pub(crate) async fn current(&self) -> Result<u64, Unavailable> {
        loop {
            let mut is_over = std::pin::pin!(self.is_over.notified());
            // Before the look: what is over after it wakes.
            is_over.as_mut().enable();
            match self.with(|schedule, now| schedule.ask(now)) {
                Answer::Use(generation) => return Ok(generation),
                Answer::Unavailable(why) => return Err(why),
                Answer::Wait => {
                    self.wanted.notify_one();
                    is_over.await;
                }
            }
        }
    }

    /// The upstream answered 401 to a request with this generation: it is not used any more, and the next request
    /// gets a new one. `false` if it is used on, because it is not the current one, or because that happened within the
    /// last minute already: what callers send can cause a 401, too.
    pub(crate) fn rejected(&self, generation: u64) -> bool {
        self.with(|schedule, now| schedule.rejected(generation, now))
    }

    /// For metrics.
    pub(crate) fn figures(&self) -> Figures {
        self.with(|schedule, now| schedule.figures(now))
    }

    /// Makes one attempt now, if none is under way, before there is anything to serve.
    ///
    /// # Errors
    ///
    /// What the attempt came to.
    pub(crate) async fn first<E: std::fmt::Display>(
        &self,
        attempt: &mut impl AsyncFnMut(u64) -> Result<Duration, E>,
    ) -> Result<(), E> {
        match self.with(|schedule, now| schedule.begin(now)) {
            Some(generation) => self.attempt(generation, attempt, &|| 0).await,
            None => Ok(()),
        }
    }

    /// Makes attempts whenever one is due, for ever. `attempt` is given the number of the generation to make; when it
    /// returns, that can be used, for as long as it says. `random` gives any number, for the waits after failures.
    pub(crate) async fn run<E: std::fmt::Display>(
        &self,
        mut attempt: impl AsyncFnMut(u64) -> Result<Duration, E>,
        random: impl Fn() -> u32,
    ) {
        loop {
            let next = self.with(|schedule, now| match schedule.next(now) {
                Next::Now => schedule.begin(now).ok_or(LOOK_EVERY),
                Next::After(wait) => Err(wait.min(LOOK_EVERY)),
                Next::WhenAsked => Err(LOOK_EVERY),
            });
            match next {
                Ok(generation) => {
                    // A failure is in the schedule, and told by whoever makes the attempt.
                    let _ = self.attempt(generation, &mut attempt, &random).await;
                }
                Err(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.wanted.notified() => {}
                    }
                }
            }
        }
    }

    async fn attempt<E: std::fmt::Display>(
        &self,
        generation: u64,
        attempt: &mut impl AsyncFnMut(u64) -> Result<Duration, E>,
        random: &impl Fn() -> u32,
    ) -> Result<(), E> {
        let under_way = UnderWay(self);
        // From before it was asked for: on its way it grew older.
        let begun = (self.clock)();
        let outcome = attempt(generation).await;
        self.with(|schedule, now| match &outcome {
            Ok(lifetime) => schedule.succeeded(begun, *lifetime, now),
            Err(error) => schedule.failed(now, error.to_string(), random()),
        });
        drop(under_way);
        outcome.map(drop)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Schedule, Duration) -> T) -> T {
        let mut schedule: MutexGuard<'_, Schedule> =
            self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that time does not go back from one look to the next.
        let now = (self.clock)();
        look(&mut schedule, now)
    }
}

/// An attempt that is given up half way, with its task, is over, too.
struct UnderWay<'a, C: Fn() -> Duration>(&'a Refresher<C>);

impl<C: Fn() -> Duration> Drop for UnderWay<'_, C> {
    fn drop(&mut self) {
        self.0.with(|schedule, now| schedule.given_up(now));
        self.0.is_over.notify_waiters();
    }
}

#[cfg(test)]
mod tests;

//! What time it is: by the wall clock, and by one that never jumps.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells a ledger the time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// How far the store's clock is ahead of [`Now::steady`], in microseconds, where hosts share one.
    store_ahead: Option<Arc<AtomicI64>>,
}

#[derive(Clone, Debug)]
enum Source {
    System {
        wall_at_start: Duration,
        start: Instant,
    },
    Manual(ManualClock),
}

/// A moment, as both clocks tell it, since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// By the wall clock; it may jump in either direction.
    pub(crate) wall: Duration,
    /// The wall clock when the ledger was opened, and the monotonic time since; it never goes back.
    pub(crate) steady: Duration,
    /// By the wall clock of this host, whatever [`Now::wall`] goes by.
    pub(crate) host: Duration,
}

impl Now {
    /// The Unix time, in whole seconds.
    pub(crate) fn wall_seconds(self) -> u64 {
        self.wall.as_secs()
    }
}

impl Clock {
    /// The clocks of the system.
    #[must_use]
    pub fn system() -> Self {
        Self::of(Source::System {
            wall_at_start: wall(),
            start: Instant::now(),
        })
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            store_ahead: None,
        }
    }

    /// The same clock, whose windows go by a store's from the first time on that [`Clock::set_store`] is told it: this
    /// host's wall clock may be wrong, and may be set.
    pub(crate) fn by_a_store(mut self) -> Self {
        let now = self.now();
        let ahead = micros(now.wall).saturating_sub(micros(now.steady));
        self.store_ahead = Some(Arc::new(AtomicI64::new(ahead)));
        self
    }

    /// The store's clock showed `store` when this one's steady time was `steady`.
    pub(crate) fn set_store(&self, store: Duration, steady: Duration) {
        if let Some(ahead) = &self.store_ahead {
            ahead.store(
                micros(store).saturating_sub(micros(steady)),
                Ordering::Relaxed,
            );
        }
    }

    /// A clock that a test sets.
    #[must_use]
    pub fn manual(clock: &ManualClock) -> Self {
        Self::of(Source::Manual(clock.clone()))
    }

    pub(crate) fn now(&self) -> Now {
        let now = match &self.source {
            Source::System {
                wall_at_start,
                start,
            } => {
                let wall = wall();
                Now {
                    wall,
                    steady: wall_at_start.saturating_add(start.elapsed()),
                    host: wall,
                }
            }
            Source::Manual(clock) => clock.now(),
        };
        match &self.store_ahead {
            None => now,
            Some(ahead) => Now {
                wall: shifted(now.steady, ahead.load(Ordering::Relaxed)),
                ..now
            },
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn shifted(time: Duration, by: i64) -> Duration {
    let shift = Duration::from_micros(by.unsigned_abs());
    if by < 0 {
        time.saturating_sub(shift)
    } else {
        time.saturating_add(shift)
    }
}

/// A wall clock from before 1970 counts as 1970.
fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A clock for tests: it stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Now>>);

impl ManualClock {
    /// Shows `unix` seconds since the epoch.
    #[must_use]
    pub fn at(unix: u64) -> Self {
        let time = Duration::from_secs(unix);
        Self(Arc::new(Mutex::new(Now {
            wall: time,
            steady: time,
            host: time,
        })))
    }

    /// Time passes, for both clocks.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.wall = now.wall.saturating_add(by);
        now.steady = now.steady.saturating_add(by);
        now.host = now.wall;
    }

    /// Somebody sets the wall clock to `unix` seconds since the epoch; the monotonic one goes on.
    pub fn set_wall(&self, unix: u64) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.wall = Duration::from_secs(unix);
        now.host = now.wall;
    }

    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

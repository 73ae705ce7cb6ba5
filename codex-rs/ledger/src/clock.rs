//! What time it is: by the wall clock, and by one that never jumps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells a ledger the time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

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
        Self(Source::System {
            wall_at_start: wall(),
            start: Instant::now(),
        })
    }

    /// A clock that a test sets.
    #[must_use]
    pub fn manual(clock: &ManualClock) -> Self {
        Self(Source::Manual(clock.clone()))
    }

    pub(crate) fn now(&self) -> Now {
        match &self.0 {
            Source::System {
                wall_at_start,
                start,
            } => Now {
                wall: wall(),
                steady: wall_at_start.saturating_add(start.elapsed()),
            },
            Source::Manual(clock) => clock.now(),
        }
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
        })))
    }

    /// Time passes, for both clocks.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.wall = now.wall.saturating_add(by);
        now.steady = now.steady.saturating_add(by);
    }

    /// Somebody sets the wall clock to `unix` seconds since the epoch; the monotonic one goes on.
    pub fn set_wall(&self, unix: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall = Duration::from_secs(unix);
    }

    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! When the key has served for its time (`--expire-after`): by a clock that a suspend does not stop.

use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

/// A time that has begun to run.
#[derive(Debug)]
pub(crate) struct Expiry {
    after: Duration,
    /// Runs on `CLOCK_BOOTTIME`. Opened before the sandbox, which has no other one.
    #[cfg(target_os = "linux")]
    timer: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    since: Duration,
}

impl Expiry {
    pub(crate) fn after(&self) -> Duration {
        self.after
    }
}

#[cfg(target_os = "linux")]
impl Expiry {
    /// Begins now.
    ///
    /// # Errors
    ///
    /// Those of `timerfd_create(2)`.
    pub(crate) fn begin(after: Duration) -> io::Result<Self> {
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        };

        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(after).map_err(io::Error::other)?,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(Self { after, timer })
    }

    /// Waits until it has passed; at once when a suspend has taken that long. Needs a runtime around it.
    ///
    /// # Errors
    ///
    /// When it cannot be polled.
    pub(crate) async fn passed(&self) -> io::Result<()> {
        let timer = crate::lifecycle::descriptor_events::polled(&self.timer)?;
        timer.readable().await.map(drop)
    }
}

/// How often the clock is looked at where there is no such timer.
#[cfg(not(target_os = "linux"))]
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(not(target_os = "linux"))]
impl Expiry {
    /// Begins now.
    ///
    /// # Errors
    ///
    /// Never.
    #[allow(clippy::unnecessary_wraps, reason = "as where there is a timer")]
    pub(crate) fn begin(after: Duration) -> io::Result<Self> {
        let since = crate::lifecycle::clock::since_boot();
        Ok(Self { after, since })
    }

    /// Waits until it has passed.
    ///
    /// # Errors
    ///
    /// Never.
    pub(crate) async fn passed(&self) -> io::Result<()> {
        loop {
            let passed = crate::lifecycle::clock::since_boot().saturating_sub(self.since);
            let Some(left) = self
                .after
                .checked_sub(passed)
                .filter(|left| !left.is_zero())
            else {
                return Ok(());
            };
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_passes_when_its_time_is_over_and_stays_passed() {
        let began = std::time::Instant::now();
        let expiry = Expiry::begin(Duration::from_millis(30)).unwrap();
        expiry.passed().await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(30));
        expiry.passed().await.unwrap();
        let later = Expiry::begin(Duration::from_secs(3600)).unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(20), later.passed()).await;
        assert!(waited.is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_suspend_counts() {
        use std::os::fd::AsRawFd;

        let expiry = Expiry::begin(Duration::from_secs(3600)).unwrap();
        let info = format!("/proc/self/fdinfo/{}", expiry.timer.as_raw_fd());
        let info = std::fs::read_to_string(info).unwrap();
        // CLOCK_BOOTTIME, as the kernel says it.
        assert!(info.contains("clockid: 7"), "{info}");
    }
}

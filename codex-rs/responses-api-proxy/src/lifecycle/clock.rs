//! A clock that nobody sets and that a suspend does not stop.

use std::time::Duration;

/// The time since the machine was started, suspended or not (`CLOCK_BOOTTIME`, clock_gettime(2)).
#[cfg(target_os = "linux")]
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // Never negative.
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// The time since this was first asked. Whether it counts a suspend is the system's choice: Windows' does, that of macOS
/// does not, and a token may then be sent that the upstream answers with 401.
#[cfg(not(target_os = "linux"))]
pub(crate) fn since_boot() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

//! Points in time, as rollout files and their names have them.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, UtcOffset};

/// RFC 3339, in UTC, with milliseconds: `2026-11-28T14:03:07.123Z`.
pub(super) fn timestamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        at.date(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

/// Where a session that begins now is kept below `sessions`, in the time of this place:
/// `2026/11/28` and `2026-11-28T14-03-07`. UTC where the zone is not known.
pub(super) fn place(at: SystemTime) -> (String, String) {
    let at = OffsetDateTime::from(at).to_offset(offset());
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let mut name = format!("{year:04}-{month:02}-{day:02}");
    let directory = name.replace('-', "/");
    // Writing to a string does not fail.
    let _ = write!(
        name,
        "T{:02}-{:02}-{:02}",
        at.hour(),
        at.minute(),
        at.second()
    );
    (directory, name)
}

/// Asked for once: with several threads the system does not say.
fn offset() -> UtcOffset {
    static OFFSET: OnceLock<UtcOffset> = OnceLock::new();
    *OFFSET.get_or_init(|| UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC))
}

/// How long ago that was, for a person.
pub(super) fn age(then: SystemTime, now: SystemTime) -> String {
    let seconds = now.duration_since(then).unwrap_or(Duration::ZERO).as_secs();
    let (count, unit) = match seconds {
        0..60 => return "now".to_owned(),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{count} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_874_587_123);
        assert_eq!(timestamp(at), "2026-11-28T14:03:07.123Z");
        assert_eq!(timestamp(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(seconds(at), 1_795_874_587);
        let (directory, name) = place(at);
        assert_eq!(directory, name.get(..10).unwrap().replace('-', "/"));
        assert_eq!(name.len(), "2026-11-28T14-03-07".len());
        let later = |seconds| at + Duration::from_secs(seconds);
        assert_eq!(age(at, later(59)), "now");
        assert_eq!(age(at, later(7200)), "2 h ago");
        assert_eq!(age(later(1), at), "now");
    }
}

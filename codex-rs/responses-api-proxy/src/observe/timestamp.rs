//! When something happened, as logs write it.

use std::fmt;
use std::time::SystemTime;

use time::{OffsetDateTime, UtcOffset};

/// RFC 3339, in UTC, with milliseconds: `2026-11-28T14:03:07.123Z`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rfc3339(pub(crate) SystemTime);

impl Rfc3339 {
    /// In ASCII, written digit by digit instead of by the formatter, because each line of a log has one.
    pub(crate) fn to_ascii(self) -> [u8; 24] {
        let at = OffsetDateTime::from(self.0);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (place, number) in [
            (0..4, at.year().unsigned_abs()),
            (5..7, u32::from(u8::from(at.month()))),
            (8..10, u32::from(at.day())),
            (11..13, u32::from(at.hour())),
            (14..16, u32::from(at.minute())),
            (17..19, u32::from(at.second())),
            (20..23, u32::from(at.millisecond())),
        ] {
            let digits = text.get_mut(place).unwrap_or_default();
            let mut left = number;
            for digit in digits.iter_mut().rev() {
                *digit = b'0' + (left % 10) as u8;
                left /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_ascii()).unwrap_or_default())
    }
}

impl serde::Serialize for Rfc3339 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The time of day where this computer says that it is, for a person who reads along.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeOfDay {
    offset: UtcOffset,
}

impl TimeOfDay {
    /// To be asked for before there are threads and while files can be read: the time zone is in one
    /// (tzset(3)). UTC where it is not known.
    pub(crate) fn by_this_place() -> Self {
        Self {
            offset: UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC),
        }
    }

    #[cfg(test)]
    pub(crate) fn utc() -> Self {
        Self {
            offset: UtcOffset::UTC,
        }
    }

    /// `14:03:07`.
    pub(crate) fn of(self, at: SystemTime) -> impl fmt::Display + use<> {
        let at = OffsetDateTime::from(at).to_offset(self.offset);
        format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    #[test]
    fn a_point_in_time_is_written_as_in_rfc_3339() {
        let written = |millis| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            Rfc3339(at).to_string()
        };
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(written(1_795_874_587_123), "2026-11-28T14:03:07.123Z");
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(Rfc3339(before).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_time_of_day_is_that_of_the_place() {
        let offset = UtcOffset::from_hms(2, 30, 0).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(23 * 3600);
        assert_eq!(TimeOfDay { offset }.of(at).to_string(), "01:30:00");
    }
}

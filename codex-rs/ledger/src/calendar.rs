//! When calendar windows begin and end, in seconds of Unix time, in UTC.
//!
//! The dates are those of the proleptic Gregorian calendar, computed as in Howard Hinnant's "chrono-Compatible
//! Low-Level Date Algorithms".

use crate::limit::Window;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The window that `unix` lies in: its first second, and the first one after it. `None` if `window` does not go
/// by the calendar.
pub(crate) fn window_at(window: Window, unix: u64) -> Option<(u64, u64)> {
    let length = match window {
        Window::Minute => MINUTE,
        Window::Hour => HOUR,
        Window::Day => DAY,
        Window::Month => return Some(month_at(unix)),
        Window::Rolling(_) | Window::Process => return None,
    };
    let start = unix - unix % length;
    Some((start, start.saturating_add(length)))
}

/// Whether `unix` lies in the window that begins at `start`, as far as that can be told without a calendar: false in the
/// last days of a month.
pub(crate) fn surely_in_window(window: Window, start: u64, unix: u64) -> bool {
    let shortest = match window {
        Window::Minute => MINUTE,
        Window::Hour => HOUR,
        Window::Day => DAY,
        Window::Month => 28 * DAY,
        Window::Rolling(_) | Window::Process => return false,
    };
    unix.checked_sub(start)
        .is_some_and(|since| since < shortest)
}

fn month_at(unix: u64) -> (u64, u64) {
    let (year, month) = year_and_month(unix / DAY);
    let (next_year, next_month) = if month == 12 {
        (year.saturating_add(1), 1)
    } else {
        (year, month + 1)
    };
    (
        first_day(year, month).saturating_mul(DAY),
        first_day(next_year, next_month).saturating_mul(DAY),
    )
}

/// The year and the month (1 to 12) of a day, counted since the epoch.
fn year_and_month(day: u64) -> (u64, u64) {
    // Years begin in March here, so that a leap day is a year's last; 719,468 days lead from 0000-03-01 to the epoch.
    let day = day.saturating_add(719_468);
    let era = day / 146_097;
    let day_of_era = day % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let year = year_of_era + era * 400;
    if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    }
}

/// The first day of a month (1 to 12), counted since the epoch.
fn first_day(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.saturating_sub(1), month + 9)
    };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * month + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era.saturating_mul(146_097).saturating_add(day_of_era)).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use time::{Date, Duration, Month};

    use super::*;

    #[test]
    fn every_day_of_four_centuries_lies_in_the_month_that_the_time_crate_says() {
        let mut day = Date::from_calendar_date(1970, Month::January, 1).unwrap();
        for number in 0..146_097_u64 {
            let month = day.replace_day(1).unwrap();
            let next = if month.month() == Month::December {
                month
                    .replace_year(month.year() + 1)
                    .unwrap()
                    .replace_month(Month::January)
                    .unwrap()
            } else {
                month.replace_month(month.month().next()).unwrap()
            };
            let seconds =
                |date: Date| u64::try_from(date.midnight().assume_utc().unix_timestamp()).unwrap();
            for second in [number * DAY, number * DAY + DAY - 1] {
                let expected = Some((seconds(month), seconds(next)));
                assert_eq!(window_at(Window::Month, second), expected, "{day}");
            }
            day += Duration::days(1);
        }
    }

    #[test]
    fn what_is_surely_in_a_window_is_in_it() {
        // Every 5 hours, 7 minutes and 11 seconds of four years, of which one is a leap year.
        let moments = (0_u64..).map(|number| 1_672_531_200 + number * 18_431);
        for now in moments.take_while(|&now| now < 1_798_761_600) {
            for window in [Window::Minute, Window::Hour, Window::Day, Window::Month] {
                let (start, end) = window_at(window, now).unwrap();
                let is_early = now - start < 28 * DAY;
                assert_eq!(surely_in_window(window, start, now), is_early, "{window:?}");
                assert!(!surely_in_window(window, start, end), "{window:?} {now}");
                assert!(!surely_in_window(window, start, start - 1), "{window:?}");
            }
        }
        for window in [Window::Process, Window::Rolling(std::time::Duration::MAX)] {
            assert!(!surely_in_window(window, 0, 0));
        }
    }

    #[test]
    fn shorter_windows_are_cut_where_people_cut_them() {
        let now = 1_709_251_199; // 2024-02-29 23:59:59
        for (window, start) in [
            (Window::Minute, now - 59),
            (Window::Hour, now - 3_599),
            (Window::Day, now - 86_399),
            (Window::Month, 1_706_745_600), // 2024-02-01
        ] {
            assert_eq!(window_at(window, now), Some((start, now + 1)), "{window:?}");
        }
    }

    #[test]
    fn other_windows_do_not_go_by_the_calendar_and_no_time_overflows() {
        assert_eq!(window_at(Window::Process, 0), None);
        assert_eq!(
            window_at(Window::Rolling(std::time::Duration::from_secs(60)), 0),
            None
        );
        for window in [Window::Minute, Window::Hour, Window::Day, Window::Month] {
            let (start, end) = window_at(window, u64::MAX).unwrap();
            assert!(start <= end);
        }
    }
}

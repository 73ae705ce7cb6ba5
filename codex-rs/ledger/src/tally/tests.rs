use super::*;
use crate::clock::{Clock, ManualClock};
use crate::limit::Measure;

const HOUR: Duration = Duration::from_secs(3600);
const NOON: u64 = 1_709_208_000; // 2024-02-29 12:00:00 UTC

fn dollars(nano_usd: u64) -> Amounts {
    Amounts {
        requests: 1,
        tokens: 10,
        nano_usd,
    }
}

struct Watched {
    tally: Tally,
    clock: ManualClock,
}

impl Watched {
    fn new(window: Window) -> Self {
        let clock = ManualClock::at(NOON);
        Self {
            tally: Tally::new(window, Clock::manual(&clock).now()),
            clock,
        }
    }

    fn now(&self) -> Now {
        Clock::manual(&self.clock).now()
    }

    fn charge(&mut self, nano_usd: u64) {
        self.tally.roll(self.now());
        self.tally.charge(dollars(nano_usd));
    }

    fn spent(&mut self) -> u64 {
        self.tally.roll(self.now());
        self.tally.amounts().nano_usd
    }

    fn resets_in(&mut self, needed: u64) -> Option<Duration> {
        self.tally.roll(self.now());
        self.tally
            .resets_in(self.now(), needed, |amounts| Measure::Usd.of(amounts))
    }
}

#[test]
fn a_calendar_window_ends_with_the_calendar() {
    for (window, seconds) in [
        (Window::Minute, 60),
        (Window::Hour, 3600),
        (Window::Day, 43_200),
        (Window::Month, 43_200),
    ] {
        let mut watched = Watched::new(window);
        watched.charge(7);
        assert_eq!(
            watched.resets_in(1),
            Some(Duration::from_secs(seconds)),
            "{window:?}"
        );
        watched.clock.advance(Duration::from_secs(seconds - 1));
        assert_eq!(watched.spent(), 7, "{window:?}");
        watched.clock.advance(Duration::from_secs(1));
        assert_eq!(watched.spent(), 0, "{window:?}");
    }
}

#[test]
fn a_wall_clock_that_jumps_back_refunds_nothing_and_one_that_jumps_ahead_begins_a_window() {
    let mut watched = Watched::new(Window::Day);
    watched.charge(7);
    watched.clock.set_wall(NOON - 86_400 * 40);
    assert_eq!(watched.spent(), 7);
    watched.charge(1);
    watched.clock.set_wall(NOON);
    assert_eq!(watched.spent(), 8, "the same day again");
    watched.clock.set_wall(NOON + 86_400);
    assert_eq!(watched.spent(), 0);
    watched.charge(2);
    watched.clock.set_wall(NOON);
    assert_eq!(watched.spent(), 2, "the day that was seen last");
}

#[test]
fn a_window_in_which_nothing_was_ever_spent_goes_back_with_the_clock() {
    let mut watched = Watched::new(Window::Minute);
    watched.clock.set_wall(NOON - 600);
    assert_eq!(watched.resets_in(1), Some(Duration::from_secs(60)));
    watched.charge(7);
    watched.clock.set_wall(NOON + 60);
    assert_eq!(watched.spent(), 0);
    // What was spent before is not had again.
    watched.clock.set_wall(NOON - 600);
    assert_eq!(watched.resets_in(1), Some(Duration::from_secs(720)));
}

#[test]
fn what_was_spent_leaves_a_rolling_window_when_all_of_it_is_older_than_the_window() {
    let mut watched = Watched::new(Window::Rolling(HOUR));
    watched.charge(5);
    watched.clock.advance(Duration::from_secs(59));
    watched.charge(1);
    watched.clock.advance(HOUR - Duration::from_secs(59));
    assert_eq!(
        watched.spent(),
        6,
        "the last cent was spent less than an hour ago"
    );
    watched.clock.advance(Duration::from_secs(59));
    assert_eq!(watched.spent(), 6);
    watched.clock.advance(Duration::from_secs(1));
    assert_eq!(watched.spent(), 0);
}

#[test]
fn a_rolling_window_does_not_care_for_the_wall_clock() {
    let mut watched = Watched::new(Window::Rolling(HOUR));
    watched.charge(5);
    watched.clock.set_wall(NOON + 86_400);
    assert_eq!(watched.spent(), 5);
    watched.clock.set_wall(0);
    assert_eq!(watched.spent(), 5);
    watched.clock.advance(HOUR * 1000);
    assert_eq!(watched.spent(), 0);
}

#[test]
fn a_rolling_window_says_when_enough_of_it_is_free() {
    let mut watched = Watched::new(Window::Rolling(HOUR));
    watched.charge(5);
    watched.clock.advance(Duration::from_secs(600));
    watched.charge(5);
    assert_eq!(watched.resets_in(5), Some(HOUR - Duration::from_secs(540)));
    assert_eq!(watched.resets_in(6), Some(HOUR + Duration::from_secs(60)));
    assert_eq!(
        watched.resets_in(u64::MAX),
        Some(HOUR + Duration::from_secs(60)),
        "more than was ever spent"
    );
    let wait = watched.resets_in(6).unwrap();
    watched.clock.advance(wait - Duration::from_nanos(1));
    assert_eq!(watched.spent(), 5);
    watched.clock.advance(Duration::from_nanos(1));
    assert_eq!(watched.spent(), 0);
}

#[test]
fn the_process_has_one_window() {
    let mut watched = Watched::new(Window::Process);
    watched.charge(5);
    watched.clock.advance(HOUR * 100_000);
    assert_eq!(watched.spent(), 5);
    assert_eq!(watched.resets_in(1), None);
}

#[test]
fn the_shortest_and_the_longest_rolling_windows_do_not_overflow() {
    for length in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let mut watched = Watched::new(Window::Rolling(length));
        watched.charge(u64::MAX);
        watched.charge(1);
        assert_eq!(watched.spent(), u64::MAX, "{length:?}");
        watched.resets_in(1).unwrap();
        watched.tally.start();
    }
}

use proptest::prelude::*;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// With a credential got at 100 s.
fn with_one(lifetime: u64) -> Schedule {
    let mut schedule = Schedule::new();
    assert_eq!(schedule.begin(secs(100)), Some(1));
    schedule.succeeded(secs(100), secs(lifetime), secs(100));
    schedule
}

#[test]
fn it_is_got_anew_twenty_minutes_or_half_its_life_ahead() {
    for (lifetime, at) in [(3600, 2400), (2400, 1200), (600, 300), (5, 2)] {
        let schedule = with_one(lifetime);
        let due = Next::After(Duration::from_secs_f64(lifetime as f64).min(secs(lifetime)));
        assert_ne!(schedule.next(secs(100)), due, "not when it expires");
        assert!(matches!(
            schedule.next(secs(100 + at) - secs(1)),
            Next::After(_)
        ));
        assert_eq!(schedule.next(secs(100 + at + 1)), Next::Now);
    }
}

#[test]
fn what_is_valid_is_used_through_failures_and_what_is_not_is_unavailable() {
    let mut schedule = with_one(100);
    assert_eq!(schedule.begin(secs(150)), Some(2));
    assert_eq!(schedule.ask(secs(150)), Answer::Use(1));
    assert_eq!(schedule.begin(secs(150)), None, "one at a time");
    schedule.failed(secs(151), "down".to_owned(), 0);
    assert_eq!(schedule.ask(secs(151)), Answer::Use(1));
    assert_eq!(schedule.next(secs(151)), Next::After(secs(1)));
    for (failures, wait) in [(2, 2), (3, 4), (4, 8), (5, 16)] {
        let now = 160 + failures;
        schedule.not_before = secs(0);
        assert!(schedule.begin(secs(now)).is_some());
        schedule.failed(secs(now), "down".to_owned(), 0);
        assert_eq!(schedule.next(secs(now)), Next::After(secs(wait)));
    }
    schedule.not_before = secs(201);
    assert_eq!(schedule.ask(secs(199)), Answer::Use(1));
    let Answer::Unavailable(why) = schedule.ask(secs(200)) else {
        panic!("expired, and too early for another");
    };
    assert_eq!((why.reason.as_str(), why.retry_after), ("down", secs(1)));
    // Nobody asks: nothing is tried.
    assert_eq!(schedule.next(secs(500)), Next::WhenAsked);
    assert_eq!(schedule.ask(secs(500)), Answer::Wait);
    assert_eq!(schedule.next(secs(500)), Next::Now);
    schedule.begin(secs(500)).unwrap();
    schedule.succeeded(secs(500), secs(60), secs(501));
    assert!(matches!(schedule.ask(secs(501)), Answer::Use(_)));
    assert_eq!(schedule.figures(secs(510)).age, secs(10));
    assert_eq!(schedule.figures(secs(510)).failures, 5);
}

#[test]
fn waits_are_shortened_by_chance_and_never_by_more_than_half() {
    for (random, wait) in [(0, 1000), (u32::MAX / 2, 750), (u32::MAX, 500)] {
        let mut schedule = Schedule::new();
        schedule.begin(secs(0)).unwrap();
        schedule.failed(secs(0), String::new(), random);
        let waits = schedule.not_before.as_millis();
        assert!(waits.abs_diff(wait) <= 1, "{waits}");
    }
    let mut schedule = Schedule::new();
    for _ in 0..50 {
        schedule.failed(secs(0), String::new(), 0);
    }
    assert_eq!(schedule.not_before, LONGEST_WAIT);
}

#[test]
fn a_401_takes_the_current_one_from_use_once_a_minute() {
    let mut schedule = with_one(3600);
    assert!(!schedule.rejected(7, secs(110)), "an older one");
    assert!(schedule.rejected(1, secs(110)));
    assert_eq!(schedule.ask(secs(110)), Answer::Wait);
    assert_eq!(schedule.next(secs(110)), Next::Now);
    schedule.begin(secs(110)).unwrap();
    schedule.succeeded(secs(110), secs(3600), secs(111));
    assert!(!schedule.rejected(2, secs(169)));
    assert_eq!(schedule.ask(secs(169)), Answer::Use(2));
    assert!(schedule.rejected(2, secs(170)));
}

#[test]
fn one_that_comes_too_late_is_a_failure() {
    let mut schedule = Schedule::new();
    schedule.begin(secs(0)).unwrap();
    schedule.succeeded(secs(0), secs(5), secs(5));
    assert!(matches!(schedule.ask(secs(5)), Answer::Unavailable(_)));
}

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Ask,
    Begin,
    Succeed(u64),
    Fail(u32),
    Reject(u64),
    GiveUp,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (1_u64..4000).prop_map(Event::Pass),
        Just(Event::Ask),
        Just(Event::Begin),
        (1_u64..4000).prop_map(Event::Succeed),
        any::<u32>().prop_map(Event::Fail),
        (0_u64..6).prop_map(Event::Reject),
        Just(Event::GiveUp),
    ];
    proptest::collection::vec(event, 1..80)
}

proptest! {
    /// Whatever happens: what is used is the last one that was got, unexpired and not refused; there is one attempt at
    /// a time; and whoever finds nothing waits for an attempt, or is told to come back within a minute.
    #[test]
    fn nothing_that_expired_is_used_and_nobody_waits_for_nothing(events in events()) {
        let mut schedule = Schedule::new();
        let mut now = secs(1);
        let mut good: Option<(u64, Duration)> = None;
        let mut under_way: Option<(u64, Duration)> = None;
        for event in events {
            match event {
                Event::Pass(seconds) => now += secs(seconds),
                Event::Ask => {}
                Event::Begin => {
                    let begun = schedule.begin(now);
                    prop_assert!(begun.is_none() || under_way.is_none());
                    under_way = begun.map(|generation| (generation, now)).or(under_way);
                }
                Event::Succeed(lifetime) => if let Some((generation, since)) = under_way.take() {
                    schedule.succeeded(since, secs(lifetime), now);
                    let expires = since + secs(lifetime);
                    if expires > now {
                        good = Some((generation, expires));
                    }
                },
                Event::Fail(random) => if under_way.take().is_some() {
                    schedule.failed(now, "failed".to_owned(), random);
                },
                Event::Reject(generation) => if schedule.rejected(generation, now) {
                    prop_assert_eq!(good.take().map(|(current, _)| current), Some(generation));
                },
                Event::GiveUp => {
                    schedule.given_up(now);
                    under_way = None;
                }
            }
            let usable = good.filter(|(_, expires)| now < *expires).map(|(it, _)| it);
            match schedule.ask(now) {
                Answer::Use(generation) => prop_assert_eq!(Some(generation), usable),
                Answer::Wait => {
                    prop_assert_eq!(usable, None);
                    prop_assert!(under_way.is_some() || schedule.next(now) == Next::Now);
                }
                Answer::Unavailable(why) => {
                    prop_assert_eq!(usable, None);
                    prop_assert!(under_way.is_none());
                    prop_assert!(why.retry_after > Duration::ZERO && why.retry_after <= LONGEST_WAIT);
                }
            }
        }
    }
}

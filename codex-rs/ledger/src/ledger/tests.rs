use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::limit::{Measure, Window};

const NOON: u64 = 1_709_208_000; // 2024-02-29 12:00:00 UTC

fn usd(nano_usd: u64) -> Amounts {
    Amounts {
        requests: 1,
        tokens: 0,
        nano_usd,
    }
}

fn limit(most: u64) -> Limit {
    Limit {
        measure: Measure::Usd,
        most,
        window: Window::Day,
    }
}

fn subject(account: &str, limits: &[Limit]) -> Subject {
    Subject {
        account: account.into(),
        limits: limits.into(),
        concurrent: None,
    }
}

fn subjects(most: u64) -> Arc<[Subject]> {
    [
        subject("alice", &[limit(most)]),
        subject("total", &[limit(most * 10)]),
    ]
    .into()
}

fn ledger() -> (Ledger, ManualClock) {
    let clock = ManualClock::at(NOON);
    (Ledger::in_memory_with(Clock::manual(&clock)), clock)
}

fn spend(ledger: &Ledger, who: &Arc<[Subject]>, amount: u64) {
    let mut grant = ledger.enter(who.clone(), Mode::Expected).unwrap();
    grant.settle(usd(amount));
}

fn spent(ledger: &Ledger, account: &str) -> (u64, u64) {
    let spent = ledger.spent(account, &limit(100));
    (spent.spent, spent.held)
}

#[test]
fn what_is_held_is_not_left_for_others_until_it_is_given_back() {
    let (ledger, _) = ledger();
    let who = subjects(100);
    let mut first = ledger.enter(who.clone(), Mode::Strict).unwrap();
    let mut second = ledger.enter(who.clone(), Mode::Strict).unwrap();
    first.hold(usd(60)).unwrap();
    assert_eq!(first.remaining().nano_usd, Some(40));
    let refused = second.hold(usd(41)).unwrap_err();
    assert_eq!((&*refused.account, refused.wanted), ("alice", 41));
    let Which::Limit {
        spent: 0,
        held: 60,
        resets_in,
        ..
    } = refused.what
    else {
        panic!("{refused:?}")
    };
    assert_eq!(resets_in, Some(Duration::from_secs(43_200)));
    second.hold(usd(40)).unwrap();
    assert!(
        ledger.enter(who.clone(), Mode::Strict).is_err(),
        "all is held"
    );
    first.release();
    second.settle(usd(7));
    second.settle(usd(7));
    drop((first, second));
    assert_eq!(spent(&ledger, "alice"), (7, 0));
    assert_eq!(spent(&ledger, "total"), (7, 0));
}

#[test]
fn a_refusal_by_the_second_subject_takes_nothing_of_the_first() {
    let (ledger, _) = ledger();
    let who: Arc<[Subject]> = [
        subject("alice", &[limit(100)]),
        subject("total", &[limit(10)]),
    ]
    .into();
    let mut grant = ledger.enter(who, Mode::Strict).unwrap();
    assert_eq!(&*grant.hold(usd(11)).unwrap_err().account, "total");
    assert_eq!(spent(&ledger, "alice"), (0, 0));
}

#[test]
fn a_grant_that_is_dropped_costs_what_it_holds() {
    let (ledger, _) = ledger();
    drop(ledger.enter(subjects(100), Mode::Expected).unwrap());
    assert_eq!(spent(&ledger, "alice"), (0, 0));
    let mut grant = ledger.enter(subjects(100), Mode::Expected).unwrap();
    grant.hold(usd(30)).unwrap();
    drop(grant);
    assert_eq!(spent(&ledger, "alice"), (30, 0));
}

#[test]
fn an_estimate_that_is_too_high_keeps_nobody_out_who_has_spent_less_than_90_percent_and_is_alone() {
    let (ledger, _) = ledger();
    let who = subjects(100);
    spend(&ledger, &who, 89);
    let mut strict = ledger.enter(who.clone(), Mode::Strict).unwrap();
    strict.hold(usd(12)).unwrap_err();
    let mut grant = ledger.enter(who.clone(), Mode::Expected).unwrap();
    grant.hold(usd(50)).unwrap();
    assert_eq!(spent(&ledger, "alice"), (89, 11), "no more than there is");
    assert!(ledger.enter(who.clone(), Mode::Expected).is_err());
    grant.settle(usd(1));
    drop(grant);
    let mut late = ledger.enter(who, Mode::Expected).unwrap();
    late.hold(usd(11)).unwrap_err();
}

#[test]
fn an_answer_that_grows_takes_from_what_others_may_have_and_ends_past_5_percent() {
    let (ledger, _) = ledger();
    let who = subjects(100);
    let mut growing = ledger.enter(who.clone(), Mode::Expected).unwrap();
    growing.hold(usd(10)).unwrap();
    let mut other = ledger.enter(who.clone(), Mode::Expected).unwrap();
    growing.grow(usd(80)).unwrap();
    other.hold(usd(21)).unwrap_err();
    other.hold(usd(20)).unwrap();
    growing.grow(usd(85)).unwrap();
    let over = growing.grow(usd(86)).unwrap_err();
    assert_eq!((over.spent, over.held), (0, 106));
    other.grow(usd(1)).unwrap();
    growing.settle(usd(86));
    other.settle(usd(1));
    assert_eq!(spent(&ledger, "alice"), (87, 0));
}

#[test]
fn a_place_is_taken_by_what_may_go_up_and_free_when_that_is_settled() {
    let (ledger, _) = ledger();
    let who: Arc<[Subject]> = [Subject {
        concurrent: Some(1),
        ..subject("alice", &[])
    }]
    .into();
    let enter = || ledger.enter(who.clone(), Mode::Expected);
    // Requests that are not whole yet keep nobody out.
    let (mut first, mut second) = (enter().unwrap(), enter().unwrap());
    first.hold(usd(1)).unwrap();
    let taken = Which::Concurrent { most: 1 };
    assert_eq!(second.hold(usd(1)).unwrap_err().what, taken);
    assert_eq!(enter().unwrap_err().what, taken);
    first.settle(usd(1));
    second.hold(usd(1)).unwrap();
    drop(second);
    drop(enter().unwrap());
}

#[test]
fn one_with_limits_of_its_own_is_not_told_what_others_spend() {
    let (ledger, _) = ledger();
    let limited = |account: &str, most| subject(account, &[limit(most)]);
    let own: Arc<[Subject]> = [limited("alice", 50), limited("total", 60)].into();
    let shared: Arc<[Subject]> = [subject("bob", &[]), limited("total", 60)].into();
    let mut other = ledger.enter(shared.clone(), Mode::Expected).unwrap();
    other.hold(usd(30)).unwrap();
    let left = |subjects: &Arc<[Subject]>| {
        let grant = ledger.enter(subjects.clone(), Mode::Expected).unwrap();
        grant.remaining().nano_usd
    };
    assert_eq!((left(&own), left(&shared)), (Some(50), Some(30)));
}

#[test]
fn a_warning_comes_once_in_a_window() {
    let (ledger, clock) = ledger();
    let who = subjects(100);
    let percents = |amount| {
        let mut grant = ledger.enter(who.clone(), Mode::Expected).unwrap();
        grant
            .settle(usd(amount))
            .iter()
            .map(|crossing| crossing.percent)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [percents(79), percents(1), percents(1), percents(14)],
        [vec![], vec![80], vec![], vec![95]]
    );
    clock.advance(Duration::from_secs(43_200));
    assert_eq!(percents(99), [95], "the next day, both at once");
}

#[test]
fn what_is_settled_after_midnight_is_of_the_new_day_and_new_limits_know_what_was_spent() {
    let (ledger, clock) = ledger();
    let who = subjects(100);
    spend(&ledger, &who, 60);
    let mut grant = ledger.enter(who.clone(), Mode::Expected).unwrap();
    grant.hold(usd(5)).unwrap();
    clock.advance(Duration::from_secs(43_200));
    grant.settle(usd(6));
    assert_eq!(spent(&ledger, "alice"), (6, 0));
    let month = Limit {
        window: Window::Month,
        ..limit(66)
    };
    let refused = ledger.enter([subject("alice", &[month])].into(), Mode::Expected);
    assert!(refused.is_ok(), "March has begun");
    let day = limit(6);
    assert!(
        ledger
            .enter([subject("alice", &[day])].into(), Mode::Expected)
            .is_err()
    );
}

#[test]
fn at_the_edge_of_a_cap_a_hundred_at_once_spend_no_more_than_there_is() {
    for mode in [Mode::Strict, Mode::Expected] {
        let (ledger, _) = ledger();
        let who = subjects(100);
        spend(&ledger, &who, 85);
        let barrier = Barrier::new(100);
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    barrier.wait();
                    let Ok(mut grant) = ledger.enter(who.clone(), mode) else {
                        return;
                    };
                    if grant.hold(usd(4)).is_ok() {
                        grant.settle(usd(4));
                    }
                });
            }
        });
        let (sum, held) = spent(&ledger, "alice");
        assert_eq!(held, 0);
        assert!((97..=100).contains(&sum), "{mode:?}: {sum}");
    }
}

#[test]
fn without_a_file_accounts_that_have_spent_stay_and_others_go() {
    let (ledger, _) = ledger();
    spend(&ledger, &subjects(100), 5);
    for number in 0..2 * MANY_ACCOUNTS {
        drop(
            ledger
                .enter([subject(&number.to_string(), &[])].into(), Mode::Expected)
                .unwrap(),
        );
    }
    assert!(ledger.lock().accounts.len() <= MANY_ACCOUNTS);
    assert_eq!(spent(&ledger, "alice"), (5, 0));
}

#[test]
fn without_a_file_there_is_no_room_for_more_than_so_many_accounts_that_have_spent() {
    let (ledger, _) = ledger();
    for number in 0..MOST_ACCOUNTS {
        spend(&ledger, &[subject(&number.to_string(), &[])].into(), 1);
    }
    let refused = ledger
        .enter([subject("one more", &[])].into(), Mode::Expected)
        .unwrap_err();
    assert_eq!(refused.what, Which::TooManyAccounts);
}

proptest! {
    #[test]
    fn sums_hold_whatever_happens(steps in proptest::collection::vec((0..6_u8, 0..3_usize, 0..40_u64), 1..200)) {
        let (ledger, _) = ledger();
        let names = ["a", "b", "c"];
        let mut grants: [Vec<(Grant, u64)>; 3] = Default::default();
        let mut expected = [0_u64; 3];
        for (what, who, amount) in steps {
            match what {
                0 | 1 => {
                    let subjects = [subject(names[who], &[limit(100)]), subject("total", &[limit(250)])].into();
                    if let Ok(mut grant) = ledger.enter(subjects, Mode::Strict)
                        && grant.hold(usd(amount)).is_ok()
                    {
                        grants[who].push((grant, amount));
                    }
                }
                2 => if let Some((grant, held)) = grants[who].last_mut() {
                    // Within what was held, as strict estimates are.
                    grant.grow(usd(amount.min(*held))).unwrap();
                },
                3 => if let Some((mut grant, held)) = grants[who].pop() {
                    let charge = amount.min(held);
                    grant.settle(usd(charge));
                    expected[who] += charge;
                },
                4 => if let Some((mut grant, _)) = grants[who].pop() { grant.release(); },
                _ => if let Some((grant, held)) = grants[who].pop() {
                    drop(grant);
                    expected[who] += held;
                },
            }
            for (who, name) in names.iter().enumerate() {
                let held = grants[who].iter().map(|(_, held)| held).sum::<u64>();
                prop_assert_eq!(spent(&ledger, name), (expected[who], held));
                prop_assert!(expected[who] + held <= 100);
            }
            let (sum, held) = spent(&ledger, "total");
            prop_assert!(sum + held <= 250);
            prop_assert_eq!(sum, expected.iter().sum::<u64>());
        }
        drop(grants);
        prop_assert_eq!(spent(&ledger, "total").1, 0);
        prop_assert!(ledger.lock().holds.is_empty());
        prop_assert!(ledger.lock().accounts.values().all(|account| account.open == 0 && account.holds == 0));
    }
}

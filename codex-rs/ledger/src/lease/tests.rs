use std::sync::Arc;
use std::time::Duration;

use crate::{
    Amounts, Answer, Clock, Down, Grant, Ledger, Limit, ManualClock, Measure, Mode, Report,
    Subject, Window,
};

const TTL: Duration = Duration::from_secs(30);

const LIMIT: Limit = Limit {
    measure: Measure::Requests,
    most: 100,
    window: Window::Day,
};

struct Host {
    ledger: Ledger,
    time: ManualClock,
}

impl Host {
    fn new() -> Self {
        let time = ManualClock::at(1_800_000_000);
        let ledger = Ledger::shared(Clock::manual(&time), TTL, Down::Refuse, || {});
        ledger.lease_ahead("total".into(), &LIMIT);
        Self { ledger, time }
    }

    fn hold(&self, requests: u64) -> Option<Grant> {
        let subject = Subject {
            account: "total".into(),
            limits: [LIMIT].into(),
            concurrent: None,
        };
        let subjects: Arc<[Subject]> = [subject].into();
        let mut grant = self.ledger.enter(subjects, Mode::Strict).ok()?;
        let amounts = Amounts {
            requests,
            ..Amounts::default()
        };
        grant.hold(amounts).ok()?;
        Some(grant)
    }

    fn report(&self) -> Report {
        self.time.advance(Duration::from_secs(1));
        let mut reports = self.ledger.reports(true);
        reports.pop().unwrap()
    }

    fn answer(&self, report: &Report, left: u64, enough: u64) {
        let answer = Answer {
            left,
            spent: report.spent,
            others: 0,
            enough,
        };
        self.ledger.answered(report, &answer);
    }
}

#[test]
fn what_was_taken_while_a_report_was_under_way_is_kept_and_the_rest_is_given_back() {
    let host = Host::new();
    host.answer(&host.report(), 20, 20);
    let first = host.hold(8);
    let report = host.report();
    assert_eq!((report.held, report.keeps), (8, 20));
    // The store hears of 8; by the time that it answers there are 12.
    let second = host.hold(4);
    assert!(first.is_some() && second.is_some());
    host.answer(&report, 20, 8);
    assert!(host.hold(1).is_none());
    let report = host.report();
    assert_eq!((report.held, report.keeps), (12, 12));
}

#[test]
fn a_little_too_much_is_kept() {
    let host = Host::new();
    host.answer(&host.report(), 20, 16);
    assert_eq!(host.report().keeps, 20);
    host.answer(&host.report(), 20, 15);
    assert_eq!(host.report().keeps, 15);
}

#[test]
fn what_an_answer_that_was_lost_had_given_is_not_kept() {
    let host = Host::new();
    let _lost = host.report();
    assert_eq!(host.report().keeps, 0);
}

#[test]
fn a_lease_is_over_by_the_host_s_own_clock_before_it_is_over_for_the_store() {
    let host = Host::new();
    let report = host.report();
    host.time.advance(TTL / 2);
    host.answer(&report, 20, 20);
    assert!(host.hold(1).is_some());
    host.time.advance(TTL / 2);
    assert!(host.hold(1).is_none());
}

#[test]
fn no_answer_gives_more_than_the_limit_leaves() {
    let host = Host::new();
    host.answer(&host.report(), u64::MAX, u64::MAX);
    assert!(host.hold(101).is_none() && host.hold(100).is_some());
}

//! What this host may spend of a limit that hosts share: its lease, and what the store has said of the others.
//!
//! A lease is a balance and knows no window: what is left of it may be spent in the next one, where it is counted. So the
//! leases of all hosts and what is spent in a window never come to more than the limit.

mod pace;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::calendar::window_at;
use crate::clock::Now;
use crate::lease::pace::Pace;
use crate::limit::{Limit, Measure, Window};
use crate::report::Report;
use crate::shared::{Answer, Down, Fleet};

/// What is spent is reported so often.
const REPORT: Duration = Duration::from_millis(500);

/// The store is asked for more no sooner than this after it was asked.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The same, where the last time it did not have as much as was asked for.
const ASK_IN_VAIN: Duration = Duration::from_millis(200);

/// A lease that nobody has used for so many times its time to live is given back.
const IDLE: u32 = 2;

/// Of one limit of one account.
#[derive(Debug)]
pub(crate) struct Lease {
    measure: Measure,
    window: Window,
    /// The least that a limit of this measure and window is set to.
    most: u64,
    /// Tells what is counted here from what was counted under the same name before.
    number: u64,
    /// What may still be spent, of which some is held.
    left: u64,
    /// Until when, by [`Now::steady`] and by [`Now::host`]: the former stands still while the host is suspended.
    valid: Option<(Duration, Duration)>,
    /// What this host has spent since this was made, and in the window before that.
    spent: u64,
    sent: Sent,
    known: Known,
    /// What requests were refused, or wait, for want of it since the store was last asked.
    short: u64,
    /// Somebody was told that the limit is spent.
    is_asked: bool,
    used_at: Duration,
    pace: Pace,
    /// What was left beside what was held when the store last answered.
    spare: u64,
    is_in_vain: bool,
    /// Less of it is left than the store believes.
    gives_back: bool,
    /// What was spent of the limit when it was last looked whether to warn.
    pub(crate) seen: u64,
}

/// What the store was last told.
#[derive(Debug, Default)]
struct Sent {
    at: Option<Duration>,
    is_answered: bool,
    spent: u64,
    held: u64,
}

/// What the store has last said.
#[derive(Debug, Default)]
struct Known {
    /// What all hosts had spent in the window that runs when this one had spent `then`.
    spent: u64,
    then: u64,
    /// What other hosts have leased and not spent.
    others: u64,
    window: u64,
}

/// Whether a request may have what it wants of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// Not of what this host has leased; other hosts have not spent the limit.
    NotLeased,
    /// Not of what this host has leased, and the store cannot be asked.
    StoreAway,
    Spent,
}

impl Lease {
    /// `spent`: in the window that runs.
    pub(crate) fn new(limit: &Limit, number: u64, spent: u64, now: Now) -> Self {
        Self {
            measure: limit.measure,
            window: limit.window,
            most: limit.most,
            number,
            left: 0,
            valid: None,
            spent,
            sent: Sent::default(),
            known: Known {
                window: begun(limit.window, now),
                ..Known::default()
            },
            short: 0,
            is_asked: false,
            used_at: now.steady,
            pace: Pace::default(),
            spare: 0,
            is_in_vain: false,
            gives_back: false,
            seen: 0,
        }
    }

    pub(crate) fn is_of(&self, limit: &Limit) -> bool {
        self.measure == limit.measure && self.window == limit.window
    }

    pub(crate) fn measure(&self) -> Measure {
        self.measure
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn set_most(&mut self, most: u64) {
        self.most = most;
    }

    /// A new window begins, and nothing is spent in it.
    pub(crate) fn roll(&mut self, now: Now) {
        self.pace.roll(now);
        let window = begun(self.window, now);
        if window > self.known.window {
            self.known = Known {
                spent: 0,
                then: self.spent,
                others: self.known.others,
                window,
            };
        }
    }

    fn is_valid(&self, now: Now) -> bool {
        self.valid
            .is_some_and(|(steady, host)| now.steady < steady && now.host < host)
    }

    /// What may be spent beside what is held.
    pub(crate) fn room(&self, held: u64, now: Now) -> u64 {
        if self.is_valid(now) {
            self.left.saturating_sub(held)
        } else {
            0
        }
    }

    /// What all hosts have spent, as far as this one knows.
    pub(crate) fn fleet_spent(&self) -> u64 {
        let since = self.spent.saturating_sub(self.known.then);
        self.known.spent.saturating_add(since)
    }

    /// What other hosts have leased and not spent, as far as this one knows.
    pub(crate) fn others(&self) -> u64 {
        self.known.others
    }

    /// What is left of it.
    pub(crate) fn left(&self, now: Now) -> u64 {
        self.room(0, now)
    }

    pub(crate) fn room_for(&self, held: u64, wanted: u64, now: Now, fleet: &Fleet) -> Room {
        if self.is_valid(now) && held.saturating_add(wanted) <= self.left {
            return Room::Enough;
        }
        let spent = self.fleet_spent().saturating_add(held);
        let is_spent = spent.saturating_add(wanted) > self.most;
        match (fleet.is_away(), fleet.down()) {
            (true, Down::Allow) => Room::Enough,
            (true, Down::Local) if !is_spent => Room::Enough,
            (true, Down::Refuse) => Room::StoreAway,
            (true, Down::Local) | (false, _) if is_spent => Room::Spent,
            _ => Room::NotLeased,
        }
    }

    /// So much was wanted of it and not there.
    pub(crate) fn note_short(&mut self, wanted: u64, now: Now) {
        self.short = self.short.saturating_add(wanted);
        self.used_at = now.steady;
    }

    /// Somebody was told that the limit is spent: the store may know better.
    pub(crate) fn note_asked(&mut self) {
        self.is_asked = true;
    }

    /// So much of it is held for a new request.
    pub(crate) fn note_held(&mut self, amount: u64, now: Now) {
        self.pace.add(amount);
        self.used_at = now.steady;
    }

    pub(crate) fn charge(&mut self, amount: u64) {
        self.spent = self.spent.saturating_add(amount);
        self.left = self.left.saturating_sub(amount);
    }

    /// Whether the store has to be asked for more before this is spent.
    pub(crate) fn is_low(&self, held: u64, now: Now, fleet: &Fleet) -> bool {
        let is_idle = now.steady.saturating_sub(self.used_at) >= fleet.ttl() * IDLE;
        !is_idle && self.room(held, now) < self.spare.div_ceil(2).max(1)
    }

    /// Whether nothing is left to tell or to give back.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.spent == self.sent.spent && self.sent.is_answered
    }

    /// What to tell the store now, if anything. `in_window`: what this host has spent in the window that runs.
    pub(crate) fn report(
        &mut self,
        account: &std::sync::Arc<str>,
        held: u64,
        in_window: u64,
        now: Now,
        fleet: &Fleet,
    ) -> Option<Report> {
        let is_urgent = self.short > 0 || self.is_low(held, now, fleet);
        let is_changed = self.spent != self.sent.spent
            || held != self.sent.held
            || self.is_asked
            || self.gives_back;
        let is_due = self.sent.at.is_none_or(|at| {
            let since = now.steady.saturating_sub(at);
            let soon = if self.is_in_vain {
                ASK_IN_VAIN
            } else {
                ASK_AGAIN
            };
            (is_urgent && since >= soon)
                || ((is_changed || !self.sent.is_answered) && since >= REPORT)
                || ((self.left > 0 || held > 0) && since >= fleet.ttl() / 3)
        });
        is_due.then(|| self.report_now(account, held, in_window, now, fleet))
    }

    /// The same, due or not.
    pub(crate) fn report_now(
        &mut self,
        account: &std::sync::Arc<str>,
        held: u64,
        in_window: u64,
        now: Now,
        fleet: &Fleet,
    ) -> Report {
        let is_in_use =
            !fleet.is_closing() && now.steady.saturating_sub(self.used_at) < fleet.ttl() * IDLE;
        let pace = self.pace.of_two_seconds();
        let need = held.saturating_add(if is_in_use { self.short } else { 0 });
        if !is_in_use {
            // Before the store hears of it: by then it may be another host's.
            self.left = self.left.min(need);
        }
        self.short = 0;
        self.is_asked = false;
        self.sent.at = Some(now.steady);
        self.sent.is_answered = false;
        Report {
            account: account.clone(),
            limit: Limit {
                measure: self.measure,
                most: self.most,
                window: self.window,
            },
            number: self.number,
            spent: self.spent,
            before_window: self.spent.saturating_sub(in_window),
            held,
            need,
            keeps: self.left,
            ahead: pace,
            is_in_use,
            at: now,
        }
    }

    /// The store has answered `report`. `held`: by requests that are under way now.
    pub(crate) fn answered(
        &mut self,
        report: &Report,
        answer: &Answer,
        held: u64,
        now: Now,
        fleet: &Fleet,
    ) {
        if report.number != self.number {
            return;
        }
        let since = self.spent.saturating_sub(report.spent);
        // Whatever a store says: no more than the limit leaves.
        let left = answer.left.min(self.most.saturating_sub(answer.spent));
        self.left = left.saturating_sub(since);
        // Not each time that others have taken a little: it has to be told once more.
        let is_too_much = u128::from(answer.enough) * 4 <= u128::from(left) * 3;
        let enough = answer.enough.saturating_sub(since).max(held);
        self.gives_back = is_too_much && enough < self.left;
        if self.gives_back {
            self.left = enough;
        }
        self.valid = Some((
            report.at.steady.saturating_add(fleet.ttl()),
            report.at.host.saturating_add(fleet.ttl()),
        ));
        self.known = Known {
            spent: answer.spent,
            then: report.spent,
            others: answer.others,
            window: begun(self.window, now),
        };
        // Whoever waits asks again now.
        self.short = 0;
        self.sent.is_answered = true;
        self.sent.spent = report.spent;
        self.sent.held = report.held;
        self.spare = left
            .min(self.left.saturating_add(since))
            .saturating_sub(report.held);
        self.is_in_vain = self.spare == 0 || left < report.need;
    }
}

fn begun(window: Window, now: Now) -> u64 {
    window_at(window, now.wall_seconds()).map_or(0, |(start, _)| start)
}

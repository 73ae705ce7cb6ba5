//! The leases of an account: of its limits that other hosts share.

use std::sync::Arc;

use crate::account::Account;
use crate::answer::{Exceeded, Which};
use crate::clock::Now;
use crate::lease::{Lease, Room};
use crate::limit::{Limit, Window};
use crate::report::Report;
use crate::shared::{Answer, Fleet};

impl Account {
    /// Has a lease for each of `limits` that hosts can share.
    pub(super) fn look_at_leases(&mut self, limits: &[Limit], now: Now) {
        let Some((fleet, leases)) = &mut self.shared else {
            return;
        };
        for lease in leases.iter_mut() {
            lease.roll(now);
        }
        for limit in limits {
            if limit.window == Window::Process {
                continue;
            }
            let same = limits
                .iter()
                .filter(|other| (other.measure, other.window) == (limit.measure, limit.window));
            let least = Limit {
                most: same.map(|other| other.most).min().unwrap_or(limit.most),
                ..*limit
            };
            if let Some(lease) = leases.iter_mut().find(|lease| lease.is_of(limit)) {
                lease.set_most(least.most);
                continue;
            }
            let tally = self
                .tallies
                .iter()
                .find(|tally| tally.window() == limit.window);
            let spent = tally.map_or(0, |tally| limit.measure.of(&tally.amounts()));
            leases.push(Lease::new(&least, fleet.number(), spent, now));
        }
    }

    pub(super) fn lease(&self, limit: &Limit) -> Option<&Lease> {
        let (_, leases) = self.shared.as_ref()?;
        leases.iter().find(|lease| lease.is_of(limit))
    }

    fn lease_mut(&mut self, limit: &Limit) -> Option<&mut Lease> {
        let (_, leases) = self.shared.as_mut()?;
        leases.iter_mut().find(|lease| lease.is_of(limit))
    }

    /// Whether so much more may be held of `limit`.
    pub(crate) fn room_for(&self, limit: &Limit, wanted: u64, now: Now) -> Room {
        let held = self.held(limit.measure);
        if let (Some((fleet, _)), Some(lease)) = (&self.shared, self.lease(limit)) {
            return lease.room_for(held, wanted, now, fleet);
        }
        let used = u128::from(self.spent(limit)) + u128::from(held);
        if used + u128::from(wanted) <= u128::from(limit.most) {
            Room::Enough
        } else {
            Room::Spent
        }
    }

    /// What other hosts have taken of `limit` and not spent.
    pub(crate) fn leased_by_others(&self, limit: &Limit) -> u64 {
        self.lease(limit).map_or(0, Lease::others)
    }

    /// A request was refused, or waits: the store is to be asked.
    pub(crate) fn note_refused(&mut self, exceeded: &Exceeded, now: Now) {
        match &exceeded.what {
            Which::NotLeased { limit } => {
                if let Some(lease) = self.lease_mut(limit) {
                    lease.note_short(exceeded.wanted.max(1), now);
                }
                if let Some((fleet, _)) = &self.shared {
                    fleet.wake();
                }
            }
            Which::Limit { limit, .. } => {
                if let Some(lease) = self.lease_mut(limit) {
                    lease.note_asked();
                }
            }
            _ => {}
        }
    }

    /// Has the store asked for more if little is left.
    pub(super) fn look_ahead(&self, now: Now) {
        let Some((fleet, leases)) = &self.shared else {
            return;
        };
        let is_low = |lease: &Lease| lease.is_low(self.held(lease.measure()), now, fleet);
        if leases.iter().any(is_low) {
            fleet.wake();
        }
    }

    /// What a store is to be told.
    pub(crate) fn reports(
        &mut self,
        name: &Arc<str>,
        now: Now,
        fleet: &Fleet,
        all: bool,
        reports: &mut Vec<Report>,
    ) {
        let Some((_, leases)) = &mut self.shared else {
            return;
        };
        for lease in leases {
            let held = self.held.of(lease.measure());
            let tally = self
                .tallies
                .iter()
                .find(|tally| tally.window() == lease.window());
            let in_window = tally.map_or(0, |tally| lease.measure().of(&tally.amounts()));
            if all {
                reports.push(lease.report_now(name, held, in_window, now, fleet));
            } else {
                reports.extend(lease.report(name, held, in_window, now, fleet));
            }
        }
    }

    pub(crate) fn answered(&mut self, report: &Report, answer: &Answer, now: Now, fleet: &Fleet) {
        let held = self.held(report.limit.measure);
        if let Some(lease) = self.lease_mut(&report.limit) {
            lease.answered(report, answer, held, now, fleet);
        }
    }
}

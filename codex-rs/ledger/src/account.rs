//! One account: what was spent in each of its windows, and what is held.

mod leases;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::amounts::Amounts;
use crate::answer::{Crossing, Spent};
use crate::clock::Now;
use crate::lease::Lease;
use crate::limit::{Limit, Measure, Window};
use crate::shared::Fleet;
use crate::tally::Tally;

/// How many windows an account keeps; beyond, those that its limits no longer name go.
const MOST_WINDOWS: usize = 16;

/// The parts of a limit at which its owner is warned, in percent, the highest first.
const WARNINGS: [u8; 2] = [95, 80];

/// What was spent and what is held.
#[derive(Debug, Default)]
pub(crate) struct Account {
    tallies: Vec<Tally>,
    /// Of limits that other hosts share; `None` if none do.
    shared: Option<(Arc<Fleet>, Vec<Lease>)>,
    held: Held,
    /// Grants that are not dropped.
    pub(crate) open: u32,
    /// Those of them that hold something: requests under way.
    pub(crate) holds: u32,
    /// Whether the account stays in memory while nothing happens.
    pub(crate) pinned: bool,
}

/// A sum of holds that cannot overflow: what saturates could not be given back.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    requests: u128,
    tokens: u128,
    nano_usd: u128,
}

impl Held {
    fn of(self, measure: Measure) -> u64 {
        let held = match measure {
            Measure::Requests => self.requests,
            Measure::Tokens => self.tokens,
            Measure::Usd => self.nano_usd,
        };
        u64::try_from(held).unwrap_or(u64::MAX)
    }

    fn add(&mut self, amounts: Amounts) {
        self.requests = self.requests.saturating_add(amounts.requests.into());
        self.tokens = self.tokens.saturating_add(amounts.tokens.into());
        self.nano_usd = self.nano_usd.saturating_add(amounts.nano_usd.into());
    }

    fn subtract(&mut self, amounts: Amounts) {
        self.requests = self.requests.saturating_sub(amounts.requests.into());
        self.tokens = self.tokens.saturating_sub(amounts.tokens.into());
        self.nano_usd = self.nano_usd.saturating_sub(amounts.nano_usd.into());
    }
}

impl Account {
    /// An account in which nothing was spent, or that was stored.
    pub(crate) fn new(stored: Vec<Tally>, now: Now) -> Self {
        let mut account = Self {
            tallies: stored,
            ..Self::default()
        };
        account.look_at(&[], now);
        account
    }

    /// The same, in which other hosts spend too.
    pub(crate) fn shared(fleet: &Arc<Fleet>, now: Now) -> Self {
        let mut account = Self::new(Vec::new(), now);
        account.shared = Some((Arc::clone(fleet), Vec::new()));
        account
    }

    /// Begins new windows where they are over, and has one for each of `limits`, and for the day and the month.
    pub(crate) fn look_at(&mut self, limits: &[Limit], now: Now) {
        for tally in &mut self.tallies {
            tally.roll(now);
        }
        let always = [Window::Day, Window::Month];
        for window in always
            .into_iter()
            .chain(limits.iter().map(|limit| limit.window))
        {
            if self.tally(window).is_none() {
                if self.tallies.len() >= MOST_WINDOWS {
                    let named = |window| {
                        always.contains(&window)
                            || limits.iter().any(|limit| limit.window == window)
                    };
                    self.tallies.retain(|tally| named(tally.window()));
                }
                self.tallies.push(Tally::new(window, now));
            }
        }
        self.look_at_leases(limits, now);
    }

    fn tally(&self, window: Window) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.window() == window)
    }

    /// All windows.
    pub(crate) fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// Whether nothing is under way, and nothing was spent in a window that runs, or only in such as are stored.
    pub(crate) fn may_go(&mut self, now: Now, stored: bool) -> bool {
        self.open == 0
            && self.holds == 0
            && !self.pinned
            && self
                .shared
                .iter()
                .all(|(_, leases)| leases.iter().all(Lease::is_done))
            && self.tallies.iter_mut().all(|tally| {
                tally.roll(now);
                tally.amounts() == Amounts::default()
                    || (stored && tally.window() != Window::Process)
            })
    }

    /// What was spent of `limit`, in windows that run; by all hosts that share it.
    pub(crate) fn spent(&self, limit: &Limit) -> u64 {
        if let Some(lease) = self.lease(limit) {
            return lease.fleet_spent();
        }
        self.tally(limit.window)
            .map_or(0, |tally| limit.measure.of(&tally.amounts()))
    }

    /// What requests under way hold of `limit`.
    pub(crate) fn held(&self, measure: Measure) -> u64 {
        self.held.of(measure)
    }

    /// How long until `needed` of what is spent counts no more.
    pub(crate) fn resets_in(&self, limit: &Limit, needed: u64, now: Now) -> Option<Duration> {
        self.tally(limit.window)?
            .resets_in(now, needed, |amounts| limit.measure.of(amounts))
    }

    pub(crate) fn status(&self, limit: &Limit, now: Now) -> Spent {
        Spent {
            spent: self.spent(limit),
            held: self.held(limit.measure),
            leased: self.lease(limit).map(|lease| lease.left(now)),
            resets_at: moment(now, self.resets_in(limit, u64::MAX, now)),
        }
    }

    pub(crate) fn hold(&mut self, amounts: Amounts, now: Now) {
        self.held.add(amounts);
        self.holds = self.holds.saturating_add(1);
        if let Some((_, leases)) = &mut self.shared {
            for lease in leases {
                lease.note_held(lease.measure().of(&amounts), now);
            }
        }
        self.look_ahead(now);
    }

    pub(crate) fn replace_hold(&mut self, old: Amounts, new: Amounts, now: Now) {
        self.held.subtract(old);
        self.held.add(new);
        self.look_ahead(now);
    }

    pub(crate) fn give_back(&mut self, amounts: Amounts) {
        self.held.subtract(amounts);
        self.holds = self.holds.saturating_sub(1);
    }

    /// Charges every window.
    pub(crate) fn charge(&mut self, charge: Amounts) {
        for tally in &mut self.tallies {
            tally.charge(charge);
        }
        if let Some((_, leases)) = &mut self.shared {
            for lease in leases {
                lease.charge(lease.measure().of(&charge));
            }
        }
    }

    /// Charges every window, and tells which of `limits` it brings an account called `name` near. Since what is
    /// spent in a window only grows, each warning comes once in a window (in a rolling one, again when it has shrunk).
    pub(crate) fn charge_and_warn(
        &mut self,
        name: &Arc<str>,
        limits: &[Limit],
        charge: Amounts,
        now: Now,
    ) -> Vec<Crossing> {
        self.charge(charge);
        let mut crossings = Vec::new();
        for limit in limits {
            let spent = self.spent(limit);
            let mut before = spent.saturating_sub(limit.measure.of(&charge));
            // What other hosts have spent since then has come with an answer of the store.
            if let Some(lease) = self.lease(limit) {
                before = before.min(lease.seen);
            }
            let crossed = |&percent: &u8| {
                let at = percent_of(limit.most, percent.into());
                before < at && at <= spent
            };
            if let Some(percent) = WARNINGS.into_iter().find(crossed) {
                crossings.push(Crossing {
                    account: name.clone(),
                    limit: *limit,
                    percent,
                    spent,
                    resets_at: moment(now, self.resets_in(limit, u64::MAX, now)),
                });
            }
        }
        if let Some((_, leases)) = &mut self.shared {
            for lease in leases {
                lease.seen = lease.fleet_spent();
            }
        }
        crossings
    }
}

/// So many percent of `most`, rounded up; what does not fit is the most that does.
pub(crate) fn percent_of(most: u64, percent: u64) -> u64 {
    u64::try_from((u128::from(most) * u128::from(percent)).div_ceil(100)).unwrap_or(u64::MAX)
}

/// A moment so long after now.
pub(crate) fn moment(now: Now, after: Option<Duration>) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(now.wall.checked_add(after?)?)
}

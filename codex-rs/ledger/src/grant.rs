//! What one request may spend, from its head to its end.

use std::sync::Arc;

use crate::amounts::Amounts;
use crate::answer::{Crossing, Exceeded, Over, Remaining, Which};
use crate::hold::{Mode, Subject, admit, may_go_on};
use crate::ledger::Ledger;
use crate::limit::Measure;

/// A request that may come under way. Dropped before [`Grant::hold`], it costs nothing; after it, without
/// [`Grant::settle`] or [`Grant::release`], all that it holds is charged. It has a place among those under way as long
/// as it holds something.
#[derive(Debug)]
#[must_use = "what is dropped is not under way any more"]
pub struct Grant {
    ledger: Ledger,
    subjects: Arc<[Subject]>,
    mode: Mode,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Entered,
    Holding(u64),
    Done,
}

impl Grant {
    pub(crate) fn new(ledger: Ledger, subjects: Arc<[Subject]>, mode: Mode) -> Self {
        Self {
            ledger,
            subjects,
            mode,
            stage: Stage::Entered,
        }
    }

    /// When the facts are known: takes a place among those under way, and `estimate` out of what is left of every limit,
    /// of every subject, or nothing.
    /// Once; later calls do nothing. What is held, which is less than the estimate where only that is left; of one
    /// subject not more than of another.
    ///
    /// # Errors
    /// [`Exceeded`] if it is not left.
    pub fn hold(&mut self, estimate: Amounts) -> Result<Amounts, Exceeded> {
        self.try_hold(estimate, true)
    }

    /// The same for a request that can wait for what other hosts may have left: [`Which::NotLeased`] is no decision, and
    /// this or [`Grant::hold`] can be called again when the store has answered.
    ///
    /// # Errors
    /// As those of [`Grant::hold`], and [`Which::NotLeased`].
    pub fn hold_or_wait(&mut self, estimate: Amounts) -> Result<Amounts, Exceeded> {
        self.try_hold(estimate, false)
    }

    fn try_hold(&mut self, estimate: Amounts, is_last: bool) -> Result<Amounts, Exceeded> {
        if self.stage != Stage::Entered {
            return Ok(estimate);
        }
        let now = self.ledger.0.clock.now();
        let mut state = self.ledger.lock();
        let mut held = estimate;
        for subject in self.subjects.iter() {
            let Some(account) = state.accounts.get_mut(&subject.account) else {
                return Err(Exceeded {
                    account: subject.account.clone(),
                    what: Which::Unreadable,
                    wanted: 0,
                });
            };
            account.look_at(&subject.limits, now);
            let admitted = admit(account, subject, estimate, self.mode, now, is_last)
                .inspect_err(|exceeded| account.note_refused(exceeded, now))?;
            held = Amounts {
                requests: held.requests.min(admitted.requests),
                tokens: held.tokens.min(admitted.tokens),
                nano_usd: held.nano_usd.min(admitted.nano_usd),
            };
        }
        for subject in self.subjects.iter() {
            if let Some(account) = state.accounts.get_mut(&subject.account) {
                account.hold(held, now);
            }
        }
        let amounts = vec![held; self.subjects.len()];
        let number = self
            .ledger
            .add_hold(&mut state, &self.subjects, amounts, now);
        self.stage = Stage::Holding(number);
        Ok(held)
    }

    /// The answer has come so far that the request will have cost at least `running`: holds that, if it is more.
    ///
    /// # Errors
    /// [`Over`] in [`Mode::Expected`], if with that a limit is passed by more than 5 %. It is held all the same.
    pub fn grow(&mut self, running: Amounts) -> Result<(), Over> {
        let Stage::Holding(number) = self.stage else {
            return Ok(());
        };
        let now = self.ledger.0.clock.now();
        let mut guard = self.ledger.lock();
        let state = &mut *guard;
        let Some(hold) = state.holds.get_mut(&number) else {
            return Ok(());
        };
        let (mut outcome, mut grown) = (Ok(()), false);
        for (subject, held) in hold.subjects.iter().zip(&mut hold.amounts) {
            let Some(account) = state.accounts.get_mut(&subject.account) else {
                continue;
            };
            account.look_at(&subject.limits, now);
            let running = Amounts {
                requests: running.requests.max(held.requests),
                ..running
            };
            if self.mode == Mode::Expected && outcome.is_ok() {
                outcome = may_go_on(account, subject, *held, running);
            }
            let raised = Amounts {
                requests: running.requests,
                tokens: held.tokens.max(running.tokens),
                nano_usd: held.nano_usd.max(running.nano_usd),
            };
            grown |= raised != *held;
            account.replace_hold(*held, raised, now);
            *held = raised;
        }
        if grown {
            self.ledger.changed(state, &[], Some(number));
        }
        outcome
    }

    /// Charges what the request has cost, and holds nothing more. Once; later calls do nothing.
    pub fn settle(&mut self, charge: Amounts) -> Vec<Crossing> {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.end(stage, Some(charge))
    }

    /// Nothing was sent: nothing is charged, not even the request.
    pub fn release(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.end(stage, None);
    }

    /// What is left when all that is held is spent: of the limits of the first subject that has any in that measure, the
    /// least. So a caller with limits of its own is not told what others spend.
    #[must_use]
    pub fn remaining(&self) -> Remaining {
        let now = self.ledger.0.clock.now();
        let mut state = self.ledger.lock();
        let mut remaining = Remaining::default();
        for subject in self.subjects.iter() {
            let Some(account) = state.accounts.get_mut(&subject.account) else {
                continue;
            };
            account.look_at(&subject.limits, now);
            let least = |measure| {
                let limits = subject
                    .limits
                    .iter()
                    .filter(|limit| limit.measure == measure);
                let used = |limit| account.spent(limit).saturating_add(account.held(measure));
                limits
                    .map(|limit| limit.most.saturating_sub(used(limit)))
                    .min()
            };
            remaining.tokens = remaining.tokens.or_else(|| least(Measure::Tokens));
            remaining.nano_usd = remaining.nano_usd.or_else(|| least(Measure::Usd));
        }
        remaining
    }

    fn end(&self, stage: Stage, charge: Option<Amounts>) -> Vec<Crossing> {
        if stage == Stage::Done {
            return Vec::new();
        }
        let now = self.ledger.0.clock.now();
        let mut state = self.ledger.lock();
        let number = match stage {
            Stage::Holding(number) => Some(number),
            Stage::Entered | Stage::Done => None,
        };
        if let Some(hold) = number.and_then(|number| state.holds.remove(&number)) {
            for (subject, amounts) in hold.subjects.iter().zip(hold.amounts) {
                if let Some(account) = state.accounts.get_mut(&subject.account) {
                    account.give_back(amounts);
                }
            }
        }
        let mut crossings = Vec::new();
        if let Some(charge) = charge {
            for subject in self.subjects.iter() {
                if let Some(account) = state.accounts.get_mut(&subject.account) {
                    account.look_at(&subject.limits, now);
                    crossings.extend(account.charge_and_warn(
                        &subject.account,
                        &subject.limits,
                        charge,
                        now,
                    ));
                }
            }
        }
        let charged: &[Subject] = if charge.is_some() {
            &self.subjects
        } else {
            &[]
        };
        self.ledger.changed(&mut state, charged, number);
        crossings
    }

    /// What each subject holds is not always the same, where less than the estimate was left of one.
    fn charge_what_is_held(&self, number: u64) {
        let now = self.ledger.0.clock.now();
        let mut state = self.ledger.lock();
        let Some(hold) = state.holds.remove(&number) else {
            return;
        };
        for (subject, amounts) in hold.subjects.iter().zip(hold.amounts) {
            if let Some(account) = state.accounts.get_mut(&subject.account) {
                account.look_at(&subject.limits, now);
                account.give_back(amounts);
                account.charge(amounts);
            }
        }
        self.ledger
            .changed(&mut state, &self.subjects, Some(number));
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Stage::Holding(number) = self.stage {
            self.charge_what_is_held(number);
        }
        let mut state = self.ledger.lock();
        for subject in self.subjects.iter() {
            if let Some(account) = state.accounts.get_mut(&subject.account) {
                account.open = account.open.saturating_sub(1);
            }
        }
    }
}

//! What one request may spend: reserved before it goes up, and charged by what its answer says.
//!
//! Whatever becomes of the request, all is settled in the end, at the latest when the last handle to this goes: nothing
//! is charged for what did not go up whole, what the answer says it used for what did, and an estimate where the answer
//! does not say.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use codex_ledger::{Amounts, Asked, Crossing, Estimate, Grant, Mode, Over, Shown, Used, Which};
use codex_policy::Facts;
use codex_pricing::Tokens;

use crate::access::expected_cost::{nano, no_price, of_estimate, scaled, worth};
use crate::access::lease_wait::LeaseWait;
use crate::access::over_limit::{nearly_spent, over_limit};
use crate::access::spending::Spending;
use crate::access::wanted::{Decided, Held, Terms, Wanted};
use crate::inspect::answer::facts::{AnswerFacts, TokenCounts};
use crate::observe::stderr;
use crate::refusal::Refusal;

/// What one request may spend.
pub(crate) struct Reservation {
    spending: Spending,
    terms: Terms,
    state: Mutex<State>,
}

struct State {
    grant: Grant,
    /// Once it is decided that the request may go up.
    held: Option<Held>,
    refusal: Option<Refusal>,
    /// The last of the request was handed to the upstream's connection.
    is_sent: bool,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").finish_non_exhaustive()
    }
}

impl Reservation {
    pub(crate) fn new(spending: Spending, terms: Terms, grant: Grant) -> Self {
        Self {
            spending,
            terms,
            state: Mutex::new(State {
                grant,
                held: None,
                refusal: None,
                is_sent: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a wait for a lease, where hosts share limits.
    pub(crate) fn lease_wait(&self) -> Option<LeaseWait> {
        self.spending.lease_wait()
    }

    /// Decides about the request by what it says of itself, and estimates what it may cost.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub(crate) fn judge(&self, facts: Facts) -> Result<Wanted, Refusal> {
        self.terms
            .rules
            .check(&facts, &self.terms.under, &self.terms.who)?;
        let model = facts.model.unwrap_or_default();
        let mode = self.spending.mode();
        let asked = Asked {
            bytes: facts.bytes,
            max_output_tokens: facts.max_output_tokens,
            is_streamed: facts.stream,
        };
        let estimator = self.spending.estimator();
        let estimate = estimator.estimate(&self.terms.account, &model, asked, mode);
        let hidden = estimator.hidden(&self.terms.account, &model);
        let held = Held {
            model,
            tier: facts.service_tier,
            bytes: facts.bytes,
            estimate,
            most_output: facts.max_output_tokens.unwrap_or(u64::MAX),
            hidden,
        };
        let amounts = Amounts {
            requests: 1,
            tokens: estimate.input.saturating_add(estimate.output),
            nano_usd: self.price(&held)?,
        };
        Ok(Wanted { held, amounts })
    }

    /// Reserves what the request may cost. `may_wait`: if only a lease is missing, there is no decision yet.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub(crate) fn reserve(&self, wanted: Wanted, may_wait: bool) -> Result<Decided, Refusal> {
        let mode = self.spending.mode();
        let amounts = wanted.amounts;
        let mut state = self.lock();
        let granted = if may_wait {
            state.grant.hold_or_wait(amounts)
        } else {
            state.grant.hold(amounts)
        };
        let granted = match granted {
            Ok(granted) => granted,
            Err(exceeded) if may_wait && matches!(exceeded.what, Which::NotLeased { .. }) => {
                return Ok(Decided::NotYet(wanted));
            }
            Err(exceeded) => return Err(over_limit(&exceeded, &self.terms.who, mode)),
        };
        let mut held = wanted.held;
        held.estimate = scaled(held.estimate, granted, amounts);
        state.held = Some(held);
        Ok(Decided::Reserved)
    }

    /// What the request may cost, in billionths of a dollar; 0 if no limit asks for it and there is no price.
    fn price(&self, held: &Held) -> Result<u64, Refusal> {
        let tier = held.tier.as_deref();
        let (prices, now) = (self.spending.prices(), SystemTime::now());
        let tokens = of_estimate(&held.estimate);
        let cost = match prices.cost(&held.model, tier, &tokens, now) {
            Ok(cost) => cost,
            Err(_) if !self.terms.in_usd => return Ok(0),
            Err(_) => return Err(no_price(&format!("the model {}", held.model), &held.model)),
        };
        let is_named = !matches!(tier, None | Some("auto" | "default" | "standard"));
        if self.terms.in_usd && is_named && cost.estimated {
            let tier = tier.unwrap_or_default();
            let what = format!("the service tier {tier} of {}", held.model);
            return Err(no_price(&what, &format!("{}\".tiers.\"{tier}", held.model)));
        }
        Ok(match self.spending.mode() {
            Mode::Expected => nano(cost.usd),
            Mode::Strict => self.worth(held, &held.estimate),
        })
    }

    /// What so many tokens cost, in billionths of a dollar; 0 without a price.
    fn worth(&self, held: &Held, estimate: &Estimate) -> u64 {
        let (prices, now) = (self.spending.prices(), SystemTime::now());
        let price = |tier: Option<&str>, tokens: &Tokens| {
            let cost = prices.cost(&held.model, tier, tokens, now);
            cost.map_or(0, |cost| nano(cost.usd))
        };
        worth(estimate, held.tier.as_deref(), self.spending.mode(), price)
    }

    /// The refusal of the request, for whoever finds that its upload broke off.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.lock().refusal = Some(refusal);
    }

    /// The refusal, if there is one; once.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.lock().refusal.take()
    }

    /// Whether it was found that the request may go up.
    pub(crate) fn is_decided(&self) -> bool {
        self.lock().held.is_some()
    }

    /// The last of the request was handed to the upstream's connection: from here on it may cost something.
    pub(crate) fn note_sent(&self) {
        self.lock().is_sent = true;
    }

    /// What is left of the tightest limits, in billionths of a dollar and in tokens, where there are any.
    pub(crate) fn remaining(&self) -> (Option<u64>, Option<u64>) {
        let remaining = self.lock().grant.remaining();
        (remaining.nano_usd, remaining.tokens)
    }

    /// The answer has shown so much of itself. What is held grows with it.
    ///
    /// # Errors
    ///
    /// A limit is passed by more than a request may.
    pub(crate) fn grow(&self, shown: Shown) -> Result<(), Over> {
        let mut state = self.lock();
        let Some(held) = &state.held else {
            return Ok(());
        };
        let output = self.output_so_far(held, shown);
        if output <= held.estimate.output {
            return Ok(());
        }
        let so_far = self.cost_with(held, output);
        state.grant.grow(so_far)
    }

    /// The answer says what it used, or is over without having said so. Only the first time.
    pub(crate) fn settle(&self, answer: &AnswerFacts, shown: Shown) -> Option<Charge> {
        let mut state = self.lock();
        let held = state.held.take()?;
        let charge = match answer.usage {
            Some(usage) => self.charge(&held, answer, usage, shown),
            None => Charge {
                amounts: self.unsaid(&held, answer, shown),
                is_estimated: true,
            },
        };
        let crossings = state.grant.settle(charge.amounts);
        drop(state);
        self.say(&crossings);
        Some(charge)
    }

    /// The upstream answered with an error, which costs one request and nothing else. The grant is over then: of a
    /// request whose rest is still to come, nothing is reserved or charged any more.
    pub(crate) fn settle_error(&self) {
        let mut state = self.lock();
        state.held = None;
        let one = Amounts {
            requests: 1,
            ..Amounts::default()
        };
        let crossings = state.grant.settle(one);
        drop(state);
        self.say(&crossings);
    }

    /// By what the answer says it has used.
    fn charge(
        &self,
        held: &Held,
        answer: &AnswerFacts,
        usage: TokenCounts,
        shown: Shown,
    ) -> Charge {
        // What contradicts itself is charged in full.
        let is_sound = usage.cached.saturating_add(usage.cache_write) <= usage.input;
        let of_input = |part: u64| if is_sound { part } else { 0 };
        let tokens = Tokens {
            input: usage.input,
            cached: of_input(usage.cached),
            cache_write: of_input(usage.cache_write),
            output: usage.output,
            reasoning: usage.reasoning.min(usage.output),
        };
        let used = Used {
            input: tokens.input,
            cached: tokens.cached,
            output: tokens.output,
            shown,
        };
        let estimator = self.spending.estimator();
        estimator.learn(&self.terms.account, &held.model, held.bytes, used);
        let nano_usd = self.price_of_answer(held, answer, &tokens);
        Charge {
            amounts: Amounts {
                requests: 1,
                tokens: usage.input.saturating_add(usage.output),
                nano_usd: nano_usd.unwrap_or_else(|| self.unsaid(held, answer, shown).nano_usd),
            },
            is_estimated: nano_usd.is_none(),
        }
    }

    /// By the model and the tier that the answer names; else by those that were asked for. `None` without a price.
    fn price_of_answer(&self, held: &Held, answer: &AnswerFacts, tokens: &Tokens) -> Option<u64> {
        let now = SystemTime::now();
        let prices = self.spending.prices();
        let named = answer.model.as_deref().unwrap_or(&held.model);
        // One that the answer does not name was not refused.
        let tier = answer.service_tier.as_deref().or(held.tier.as_deref());
        let cost = prices
            .cost(named, tier, tokens, now)
            .or_else(|_| prices.cost(&held.model, held.tier.as_deref(), tokens, now));
        cost.ok().map(|cost| nano(cost.usd))
    }

    /// What the request has cost whose answer does not say.
    fn unsaid(&self, held: &Held, answer: &AnswerFacts, shown: Shown) -> Amounts {
        let mut output = self.output_so_far(held, shown);
        if answer.is_cut_document {
            // All of it was made, and is billed, before its first byte came.
            output = output.max(held.estimate.output);
        }
        self.cost_with(held, output)
    }

    /// Tokens of output, of which so much was shown. In [`Mode::Strict`] all that was reserved: how much did not show,
    /// nobody knows.
    fn output_so_far(&self, held: &Held, shown: Shown) -> u64 {
        match self.spending.mode() {
            Mode::Strict => held.estimate.output,
            Mode::Expected => shown.output(held.hidden).min(held.most_output),
        }
    }

    /// What the request has cost at least, with so much output.
    fn cost_with(&self, held: &Held, output: u64) -> Amounts {
        let estimate = Estimate {
            output,
            ..held.estimate
        };
        Amounts {
            requests: 1,
            tokens: estimate.input.saturating_add(estimate.output),
            nano_usd: self.worth(held, &estimate),
        }
    }

    /// An operator is told of limits that are nearly spent.
    fn say(&self, crossings: &[Crossing]) {
        for crossing in crossings {
            stderr::line(nearly_spent(crossing, &self.terms.who));
        }
        if let Some(fault) = self.spending.ledger().fault() {
            let what = format!("--ledger: what is spent is kept in memory alone: {fault}");
            stderr::repeated_line(&what, &what);
        }
    }
}

impl Drop for Reservation {
    /// What is not settled by now never had an answer.
    fn drop(&mut self) {
        let is_sent = self.lock().is_sent;
        if is_sent {
            self.settle(&AnswerFacts::default(), Shown::default());
        } else {
            self.lock().grant.release();
        }
    }
}

/// What was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) amounts: Amounts,
    /// Not by what the answer says it used, or not by the price of what it names.
    pub(crate) is_estimated: bool,
}

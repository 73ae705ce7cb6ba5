//! Reads an answer as it goes to its caller: notes in the record what it says of itself, and charges what it costs.

use std::sync::Arc;

use codex_ledger::{Over, Shown};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::access::reservation::Reservation;
use crate::forward::headers::{REMAINING_TOKENS, REMAINING_USD};
use crate::inspect::answer::facts::AnswerFacts;
use crate::inspect::answer::{AnswerForm, AnswerMeter};
use crate::observe::record::Record;

/// After so many deltas it is seen whether what was reserved is enough.
const DELTAS_BETWEEN: u64 = 32;

/// Reads one answer.
pub(super) struct Meter {
    /// `None` once all is said.
    answer: Option<AnswerMeter>,
    has_output: bool,
    /// Deltas of output that are counted already.
    deltas: u64,
    spent: Option<Spent>,
}

/// What the answer is charged to.
struct Spent {
    reservation: Arc<Reservation>,
    status: StatusCode,
    /// What had shown when it was last seen whether what was reserved is enough.
    seen: u64,
    /// Bytes of the answer.
    passed: u64,
    is_settled: bool,
}

impl Meter {
    /// `None` where nobody asks.
    pub(super) fn new(
        form: AnswerForm,
        status: StatusCode,
        record: &Record,
        reservation: Option<Arc<Reservation>>,
    ) -> Option<Box<Self>> {
        if reservation.is_none() && !record.observer().keeps_records() {
            return None;
        }
        let answer = AnswerMeter::new(form);
        let answer = match reservation {
            Some(_) => answer.counting_output(),
            None => answer,
        };
        Some(Box::new(Self {
            answer: Some(answer),
            has_output: false,
            deltas: 0,
            spent: reservation.map(|reservation| Spent {
                reservation,
                status,
                seen: 0,
                passed: 0,
                is_settled: false,
            }),
        }))
    }

    /// Says what is left in the head of the answer.
    pub(super) fn say_remaining(&self, headers: &mut HeaderMap) {
        let Some(spent) = &self.spent else {
            return;
        };
        let (nano_usd, tokens) = spent.reservation.remaining();
        let usd = nano_usd.map(|nano| {
            let micro = nano / 1_000;
            format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
        });
        let tokens = tokens.map(|tokens| tokens.to_string());
        for (name, text) in [(REMAINING_USD, usd), (REMAINING_TOKENS, tokens)] {
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
                headers.insert(name, value);
            }
        }
    }

    /// Reads what is about to be written.
    ///
    /// # Errors
    ///
    /// It costs more than a limit leaves.
    pub(super) fn take(&mut self, data: &[u8], record: &Record) -> Result<(), Over> {
        let Some(answer) = &mut self.answer else {
            return Ok(());
        };
        answer.push(data);
        if !self.has_output && answer.has_output() {
            self.has_output = true;
            record.note_first_output();
        }
        let deltas = answer.deltas();
        if deltas > self.deltas {
            record.count_deltas(deltas - self.deltas);
            self.deltas = deltas;
        }
        let Some(spent) = &mut self.spent else {
            return Ok(());
        };
        spent.passed = spent.passed.saturating_add(data.len() as u64);
        if spent.is_settled {
            return Ok(());
        }
        if let Some(facts) = answer.final_facts() {
            // Before the caller can know: its next request finds this one charged.
            spent.settle(facts, shown(answer), record);
        } else if deltas >= spent.seen + DELTAS_BETWEEN {
            spent.seen = deltas;
            spent.reservation.grow(shown(answer))?;
        }
        Ok(())
    }

    /// The answer is over, or cut.
    pub(super) fn finish(&mut self, record: &Record) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        let shown = shown(&answer);
        let facts = answer.finish();
        if let Some(spent) = &mut self.spent {
            spent.settle(&facts, shown, record);
        }
        record.note_answer_facts(facts);
    }
}

impl Spent {
    fn settle(&mut self, facts: &AnswerFacts, shown: Shown, record: &Record) {
        self.is_settled = true;
        if facts.usage.is_none() && self.status.as_u16() >= 400 {
            self.reservation.settle_error();
            return;
        }
        let shown = if facts.is_cut_document {
            Shown {
                deltas: 0,
                bytes: self.passed,
            }
        } else {
            shown
        };
        let charge = self.reservation.settle(facts, shown);
        if let Some(charge) = charge
            && facts.usage.is_none()
            && charge.amounts.nano_usd > 0
        {
            record.note_estimated_charge(charge.amounts.nano_usd);
        }
    }
}

fn shown(answer: &AnswerMeter) -> Shown {
    Shown {
        deltas: answer.deltas(),
        bytes: answer.output_bytes(),
    }
}

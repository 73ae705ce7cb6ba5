//! Reads an answer as it goes to its caller, and notes in the record what it says of itself.

use crate::inspect::answer::{AnswerForm, AnswerMeter};
use crate::observe::record::Record;

/// Reads one answer.
pub(super) struct Meter {
    answer: AnswerMeter,
    has_output: bool,
    /// Deltas of output that are counted already.
    deltas: u64,
}

impl Meter {
    pub(super) fn new(form: AnswerForm) -> Self {
        Self {
            answer: AnswerMeter::new(form),
            has_output: false,
            deltas: 0,
        }
    }

    /// Reads what is about to be written.
    pub(super) fn take(&mut self, data: &[u8], record: &Record) {
        self.answer.push(data);
        if !self.has_output && self.answer.has_output() {
            self.has_output = true;
            record.note_first_output();
        }
        let deltas = self.answer.deltas();
        if deltas > self.deltas {
            record.observer().count_deltas(deltas - self.deltas);
            self.deltas = deltas;
        }
    }

    /// The answer is over, or cut.
    pub(super) fn finish(self, record: &Record) {
        record.note_answer_facts(self.answer.finish());
    }
}

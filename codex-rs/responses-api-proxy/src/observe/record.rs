//! One record of each request whose head was read, and how the request came out.
//!
//! It is opened when the head has been read. Whatever learns something of the request has a handle to it and notes
//! it there: who called, what was refused, what the upstream did. It is finished exactly once, when the
//! [`OpenRecord`] goes, which whoever answers the request owns: at the end of the answer, or wherever the task is
//! dropped or panics. What was not noted by then did not happen: a request of which nothing else is known is one
//! whose caller left.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode};

use crate::inspect::answer::facts::{AnswerFacts, FinalEvent};
use crate::observe::finished::{CallerFacts, CredentialFacts, Finished};
use crate::observe::observer::Observer;
use crate::observe::open_records::Live;
use crate::observe::outcome::Outcome;
use crate::observe::request_id::RequestId;

/// What is known of one request.
#[derive(Debug)]
pub(crate) struct Record {
    observer: Observer,
    number: u64,
    at: SystemTime,
    started: Instant,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    /// Of output; counted where somebody may look on.
    deltas: AtomicU64,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    caller: CallerFacts,
    credential: Option<CredentialFacts>,
    method: Option<Method>,
    path: Option<&'static str>,
    status: Option<StatusCode>,
    outcome: Outcome,
    first_byte: Option<Duration>,
    first_output: Option<Duration>,
    request_model: Option<String>,
    upstream_request_id: Option<String>,
    is_stream: bool,
    estimated_nano_usd: Option<u64>,
    answer: Option<AnswerFacts>,
}

/// A record that is finished when this goes.
#[derive(Debug)]
pub(crate) struct OpenRecord(Arc<Record>);

impl Deref for OpenRecord {
    type Target = Arc<Record>;

    fn deref(&self) -> &Arc<Record> {
        &self.0
    }
}

impl OpenRecord {
    /// Of a request of `uid` whose head has just been read; `method` is `None` if it could not be.
    pub(crate) fn begin(observer: &Observer, uid: Option<u32>, method: Option<&Method>) -> Self {
        observer.note_begun();
        let record = Arc::new(Record {
            number: observer.next_number(),
            observer: observer.clone(),
            at: SystemTime::now(),
            started: Instant::now(),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            deltas: AtomicU64::new(0),
            facts: Mutex::new(Facts {
                caller: CallerFacts { uid, token: None },
                method: method.cloned(),
                ..Facts::default()
            }),
        });
        if let Some(open) = observer.open_records() {
            open.add(&record);
        }
        Self(record)
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        let record = &self.0;
        if let Some(open) = record.observer.open_records() {
            open.remove(record.number);
        }
        let facts = std::mem::take(&mut *record.lock());
        let finished = facts.finish(record, record.observer.is_over());
        record.observer.finish(finished);
    }
}

impl Record {
    pub(crate) fn id(&self) -> RequestId {
        self.observer.id(self.number)
    }

    /// The number in its name, and in those of its dumps.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// When its head had been read.
    pub(crate) fn at(&self) -> SystemTime {
        self.at
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// The request is for this path, which is permitted, and the caller has shown the token of this name.
    pub(crate) fn note_permitted(&self, path: &'static str, token: Option<&str>) {
        self.with(|facts| {
            facts.path = Some(path);
            facts.caller.token = token.map(Arc::from);
        });
    }

    /// The caller has shown the token of this name.
    pub(crate) fn note_token(&self, token: &str) {
        self.with(|facts| facts.caller.token = Some(Arc::from(token)));
    }

    /// The model that the request asks for.
    pub(crate) fn note_request_model(&self, model: &str) {
        self.with(|facts| facts.request_model = Some(model.to_owned()));
    }

    /// It goes up with this credential.
    pub(crate) fn note_credential(&self, credential: CredentialFacts) {
        self.with(|facts| facts.credential = Some(credential));
    }

    /// So many more bytes of the body went upstream.
    pub(crate) fn count_request_bytes(&self, bytes: usize) {
        add(&self.request_bytes, bytes);
    }

    /// So many more bytes of an answer's body were handed to the caller's connection.
    pub(crate) fn count_response_bytes(&self, bytes: usize) {
        add(&self.response_bytes, bytes);
    }

    /// So many more deltas of output have passed.
    pub(crate) fn count_deltas(&self, deltas: u64) {
        self.observer.count_deltas(deltas);
        if self.observer.open_records().is_some() {
            self.deltas.fetch_add(deltas, Ordering::Relaxed);
        }
    }

    /// What is known of it by now.
    pub(crate) fn live(&self) -> Live {
        let age = self.started.elapsed();
        let facts = self.lock();
        Live {
            number: self.number,
            caller: facts.caller.clone(),
            model: facts.request_model.clone(),
            age,
            is_answered: facts.first_byte.is_some(),
            streams_for: facts.first_output.map(|first| age.saturating_sub(first)),
            deltas: self.deltas.load(Ordering::Relaxed),
            request_bytes: self.request_bytes.load(Ordering::Relaxed),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
        }
    }

    /// The head of the upstream's answer is there. `request_id` is the upstream's name for the request.
    pub(crate) fn note_answer_head(&self, is_stream: bool, request_id: Option<&str>) {
        if !self.observer.keeps_records() {
            return;
        }
        let after = self.started.elapsed();
        self.with(|facts| {
            facts.first_byte = Some(after);
            facts.is_stream = is_stream;
            facts.upstream_request_id = request_id.map(str::to_owned);
        });
    }

    /// The first delta of output has passed.
    pub(crate) fn note_first_output(&self) {
        let after = self.started.elapsed();
        self.with(|facts| facts.first_output = Some(after));
    }

    /// What the answer said of itself.
    pub(crate) fn note_answer_facts(&self, answer: AnswerFacts) {
        self.with(|facts| facts.answer = Some(answer));
    }

    /// The caller was charged so much, in billionths of a US dollar, although the answer did not say what it used.
    pub(crate) fn note_estimated_charge(&self, nano_usd: u64) {
        self.with(|facts| facts.estimated_nano_usd = Some(nano_usd));
    }

    /// An answer with this status, ours or the upstream's, is on its way to the caller.
    pub(crate) fn note_status(&self, status: StatusCode) {
        self.with(|facts| facts.status = Some(status));
    }

    /// How it came out, as far as is known; a later word overrides. What an operator should know of is said now: a
    /// caller that reads slowly may take much longer.
    pub(crate) fn conclude(&self, outcome: Outcome) {
        let mut facts = self.lock();
        self.observer
            .say_fault(&outcome, &facts.caller, self.number);
        facts.outcome = outcome;
    }

    /// All of the answer was handed to the caller's connection: that is how it came out, unless something else
    /// was said of it.
    pub(crate) fn note_whole(&self) {
        self.with(|facts| {
            if facts.outcome == Outcome::CallerLeft {
                facts.outcome = match facts.status {
                    Some(status) if status.as_u16() >= 400 => Outcome::UpstreamError,
                    _ => Outcome::Complete,
                };
            }
        });
    }

    /// The caller took nothing of its answer for too long.
    pub(crate) fn note_stalled(&self) {
        self.with(|facts| {
            if facts.outcome == Outcome::CallerLeft {
                facts.outcome = Outcome::CallerStalled;
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(to: &AtomicU64, bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    to.fetch_add(bytes, Ordering::Relaxed);
}

impl Facts {
    /// `is_over`: the drain has ended, and with it whatever had not.
    fn finish(self, record: &Record, is_over: bool) -> Finished {
        let outcome = match self.outcome {
            Outcome::CallerLeft if std::thread::panicking() => Outcome::InternalError,
            Outcome::CallerLeft if is_over => Outcome::Drained,
            Outcome::Complete
                if self.answer.as_ref().is_some_and(|answer| {
                    matches!(
                        answer.end,
                        Some(FinalEvent::Incomplete | FinalEvent::Failed)
                    )
                }) =>
            {
                Outcome::Incomplete
            }
            outcome => outcome,
        };
        Finished {
            number: record.number,
            at: record.at,
            outcome,
            caller: self.caller,
            credential: self.credential,
            method: self.method,
            path: self.path,
            status: self.status.map(|status| status.as_u16()),
            duration: record.started.elapsed(),
            first_byte: self.first_byte,
            first_output: self.first_output,
            request_bytes: record.request_bytes.load(Ordering::Relaxed),
            response_bytes: record.response_bytes.load(Ordering::Relaxed),
            request_model: self.request_model,
            upstream_request_id: self.upstream_request_id,
            is_stream: self.is_stream,
            estimated_nano_usd: self.estimated_nano_usd,
            answer: self.answer,
        }
    }
}

#[cfg(test)]
mod tests;

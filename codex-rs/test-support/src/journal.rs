//! The mock upstream's record of events, written by its connections and awaited by the test.

use std::sync::{Condvar, Mutex};

use crate::Headers;
use crate::recorded::RecordedRequest;
use crate::wait::{lock, wait_until};

/// Everything that happened to one mock upstream.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    changed: Condvar,
    keep_bodies: bool,
}

/// The record itself.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) requests: Vec<RecordedRequest>,
    pub(crate) opened: usize,
    pub(crate) closed: usize,
    pub(crate) tls_failures: Vec<String>,
    /// Panics of a handler or of the mock itself.
    pub(crate) faults: Vec<String>,
}

impl Journal {
    pub(crate) fn new(keep_bodies: bool) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            keep_bodies,
        }
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&lock(&self.state))
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut lock(&self.state));
        self.changed.notify_all();
        value
    }

    /// Waits for a state of the record; `wanted` says which, should it never come.
    #[track_caller]
    pub(crate) fn wait<T>(&self, wanted: &str, ready: impl Fn(&State) -> Option<T>) -> T {
        wait_until(
            &self.state,
            &self.changed,
            |state| match state.faults.first() {
                Some(fault) => panic!("the mock upstream failed: {fault}"),
                None => ready(state),
            },
            |state| format!("{wanted} never happened; {}", state.summary()),
        )
    }

    /// Numbers a new connection.
    pub(crate) fn opened(&self) -> usize {
        self.update(|state| {
            state.opened += 1;
            state.opened - 1
        })
    }

    pub(crate) fn closed(&self) {
        self.update(|state| state.closed += 1);
    }

    pub(crate) fn tls_failed(&self, why: String) {
        self.update(|state| state.tls_failures.push(why));
    }

    pub(crate) fn fault(&self, why: String) {
        self.update(|state| state.faults.push(why));
    }

    /// Records a head and numbers it.
    pub(crate) fn record(&self, mut request: RecordedRequest) -> usize {
        self.update(|state| {
            let index = state.requests.len();
            request.index = index;
            state.requests.push(request);
            index
        })
    }

    pub(crate) fn request(&self, index: usize) -> RecordedRequest {
        self.read(|state| state.requests[index].clone())
    }

    pub(crate) fn body(&self, index: usize, bytes: &[u8]) {
        self.update(|state| state.requests[index].push_body(bytes, self.keep_bodies));
    }

    pub(crate) fn complete(&self, index: usize, trailers: Headers) {
        self.update(|state| {
            state.requests[index].trailers = trailers;
            state.requests[index].complete = true;
        });
    }

    pub(crate) fn malformed(&self, index: usize, why: String) {
        self.update(|state| state.requests[index].malformed = Some(why));
    }

    pub(crate) fn answered(&self, index: usize) {
        self.update(|state| state.requests[index].answered = true);
    }

    /// The peer gave up one request.
    pub(crate) fn cancelled(&self, index: usize) {
        self.update(|state| state.requests[index].give_up());
    }

    /// The peer closed a connection: whatever was under way on it is cancelled.
    pub(crate) fn peer_gone(&self, connection: usize) {
        self.update(|state| {
            for request in &mut state.requests {
                if request.connection == connection {
                    request.give_up();
                }
            }
        });
    }
}

impl RecordedRequest {
    fn give_up(&mut self) {
        if !(self.complete && self.answered) {
            self.cancelled = true;
        }
    }
}

impl State {
    /// The record in a few words, for messages.
    fn summary(&self) -> String {
        let requests: Vec<String> = self
            .requests
            .iter()
            .map(|request| {
                format!(
                    "#{} {} {} body={} complete={} answered={} cancelled={} malformed={:?}",
                    request.index,
                    request.method,
                    request.target,
                    request.body_len,
                    request.complete,
                    request.answered,
                    request.cancelled,
                    request.malformed,
                )
            })
            .collect();
        format!(
            "the mock upstream saw {} connections ({} ended), TLS failures {:?}, requests {requests:?}",
            self.opened, self.closed, self.tls_failures
        )
    }
}

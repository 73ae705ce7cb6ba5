//! What requests are told to, shared by all threads that serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use http::StatusCode;

use crate::observe::finished::{CallerFacts, Finished};
use crate::observe::outcome::Outcome;
use crate::observe::queue::Queue;
use crate::observe::request_id::{RequestId, RequestIds};
use crate::observe::stderr;
use crate::observe::timestamp::Rfc3339;
use crate::observe::user_names::UserNames;

/// A handle; clones share what is behind it.
#[derive(Clone, Debug)]
pub(crate) struct Observer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ids: RequestIds,
    /// The host of the upstream, for lines about it.
    upstream: String,
    names: UserNames,
    /// Where finished records go; `None`: nobody reads them.
    finished: Option<Arc<Queue<Finished>>>,
    /// A line on standard error for each fault, and for nothing else.
    says_faults: bool,
    /// The drain has ended.
    is_over: AtomicBool,
    has_refused_key: AtomicBool,
    in_flight: InFlight,
}

/// What goes on now, for whoever watches.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    requests: AtomicUsize,
    peak: AtomicUsize,
    deltas: AtomicU64,
}

impl InFlight {
    /// Requests whose records are open.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The most there ever were at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Deltas of output that have passed so far, about one a token.
    pub(crate) fn deltas(&self) -> u64 {
        self.deltas.load(Ordering::Relaxed)
    }
}

impl Observer {
    pub(crate) fn new(
        upstream: String,
        names: UserNames,
        finished: Option<Arc<Queue<Finished>>>,
        says_faults: bool,
    ) -> Self {
        Self(Arc::new(Shared {
            ids: RequestIds::new(),
            upstream,
            names,
            finished,
            says_faults,
            is_over: AtomicBool::new(false),
            has_refused_key: AtomicBool::new(false),
            in_flight: InFlight::default(),
        }))
    }

    /// Whether anybody reads records, and with them what answers say of themselves.
    pub(crate) fn keeps_records(&self) -> bool {
        self.0.finished.is_some()
    }

    pub(crate) fn names(&self) -> &UserNames {
        &self.0.names
    }

    pub(crate) fn ids(&self) -> &RequestIds {
        &self.0.ids
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    /// The drain has ended: what is not over is cut off.
    pub(crate) fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.0.ids.next()
    }

    pub(crate) fn id(&self, number: u64) -> RequestId {
        self.0.ids.id(number)
    }

    pub(crate) fn note_begun(&self) {
        if self.keeps_records() {
            let now = self.0.in_flight.requests.fetch_add(1, Ordering::Relaxed) + 1;
            // Hardly ever: what is only read is not fought for by the threads that serve.
            if now > self.0.in_flight.peak() {
                self.0.in_flight.peak.fetch_max(now, Ordering::Relaxed);
            }
        }
    }

    /// So many more deltas of output have passed.
    pub(crate) fn count_deltas(&self, deltas: u64) {
        self.0.in_flight.deltas.fetch_add(deltas, Ordering::Relaxed);
    }

    pub(crate) fn finish(&self, finished: Finished) {
        if let Some(queue) = &self.0.finished {
            self.0.in_flight.requests.fetch_sub(1, Ordering::Relaxed);
            queue.push(finished);
        }
    }

    /// Says what an operator should know of, where nothing says more.
    pub(crate) fn say_fault(&self, outcome: &Outcome, caller: &CallerFacts, number: u64) {
        if !self.0.says_faults {
            return;
        }
        let (what, code, cause) = match outcome {
            Outcome::UpstreamFailed { code, cause } => ("no answer", code, cause),
            Outcome::UpstreamCut { code, cause } => ("answer cut short", code, cause),
            _ => return,
        };
        let what = format!("{what}: {code}: {cause}");
        let line = format!(
            "{} {what} ({}{}; {})",
            Rfc3339(SystemTime::now()),
            self.0.upstream,
            self.whose(caller),
            self.id(number)
        );
        stderr::repeated_line(&what, &line);
    }

    /// As a part of a line: empty if nobody can be named.
    fn whose(&self, caller: &CallerFacts) -> String {
        let mut whose = String::new();
        if let Some(uid) = caller.uid {
            whose.push_str("; user ");
            match self.0.names.name(uid) {
                Some(name) => whose.push_str(name),
                None => whose.push_str(&uid.to_string()),
            }
        }
        if let Some(token) = &caller.token {
            whose.push_str("; token ");
            whose.push_str(token);
        }
        whose
    }

    /// The upstream answered with this status. Says so the first time that it refuses the key.
    pub(crate) fn note_upstream_status(&self, status: StatusCode) {
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && !self.0.has_refused_key.swap(true, Ordering::Relaxed)
        {
            stderr::line(format_args!(
                "{} {} refuses the key ({status}): the one that this proxy was given, not a caller's, which is never \
                 sent on; check that the key is whole and not revoked, that its project may use the model, and \
                 that --upstream-url is where it is for",
                Rfc3339(SystemTime::now()),
                self.0.upstream
            ));
        }
    }

    /// The upstream's answer had the key in it.
    pub(crate) fn say_key_in_answer(&self) {
        let what = "the upstream sent the key back; it was kept from the caller (is --upstream-url right?)";
        let now = Rfc3339(SystemTime::now());
        stderr::repeated_line(what, &format!("{now} {what} ({})", self.0.upstream));
    }

    /// One whose records end in the queue that comes with it.
    #[cfg(test)]
    pub(crate) fn for_test() -> (Self, Arc<Queue<Finished>>) {
        let queue = Arc::new(Queue::new(1024));
        let observer = Self::new(
            "api.example".to_owned(),
            UserNames::default(),
            Some(Arc::clone(&queue)),
            false,
        );
        (observer, queue)
    }
}

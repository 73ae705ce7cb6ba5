//! Requests that are in flight, for whoever looks on. Kept only where somebody may: with `--control`.
//!
//! A request is put in once and taken out once. Looking copies references under one lock of several, so no thread that
//! serves waits for a list to be made.

use std::array;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::observe::finished::CallerFacts;
use crate::observe::record::Record;

/// Threads that begin requests at the same moment seldom meet at one of so many.
const SHARDS: usize = 16;

/// All records that are not finished.
#[derive(Debug)]
pub(crate) struct OpenRecords([Mutex<HashMap<u64, Arc<Record>>>; SHARDS]);

/// What is known of a request in flight.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) number: u64,
    pub(crate) caller: CallerFacts,
    /// As the request has it: a caller chose it.
    pub(crate) model: Option<String>,
    /// Since its head was read.
    pub(crate) age: Duration,
    /// The upstream has begun to answer.
    pub(crate) is_answered: bool,
    /// For how long output has come; `None` if none has.
    pub(crate) streams_for: Option<Duration>,
    pub(crate) deltas: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl Live {
    /// Deltas a second since the first one.
    pub(crate) fn rate(&self) -> f64 {
        let since = self.streams_for.map_or(0.0, |since| since.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
        let deltas = self.deltas as f64;
        // Of a moment there is no rate.
        if since < 0.1 { 0.0 } else { deltas / since }
    }
}

impl Default for OpenRecords {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl OpenRecords {
    pub(crate) fn add(&self, record: &Arc<Record>) {
        if let Some(mut shard) = self.shard(record.number()) {
            shard.insert(record.number(), Arc::clone(record));
        }
    }

    pub(crate) fn remove(&self, number: u64) {
        let removed = self
            .shard(number)
            .and_then(|mut shard| shard.remove(&number));
        // Whatever it frees, it is not while others wait.
        drop(removed);
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> Vec<Live> {
        let mut records: Vec<Arc<Record>> = Vec::new();
        for shard in &self.0 {
            records.extend(lock(shard).values().cloned());
        }
        records.sort_unstable_by_key(|record| record.number());
        records.iter().map(|record| record.live()).collect()
    }

    fn shard(&self, number: u64) -> Option<MutexGuard<'_, HashMap<u64, Arc<Record>>>> {
        let at = usize::try_from(number).unwrap_or_default() % SHARDS;
        self.0.get(at).map(lock)
    }
}

fn lock(shard: &Mutex<HashMap<u64, Arc<Record>>>) -> MutexGuard<'_, HashMap<u64, Arc<Record>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::observe::observer::Observer;
    use crate::observe::record::OpenRecord;

    #[test]
    fn a_request_is_seen_from_its_head_to_its_end() {
        let observer = Observer::watched_for_test();
        let numbers = || -> Vec<u64> {
            let open = observer.open_records().unwrap();
            open.all().iter().map(|live| live.number).collect()
        };
        let records: Vec<OpenRecord> = (0..40)
            .map(|uid| OpenRecord::begin(&observer, Some(uid), None))
            .collect();
        assert_eq!(numbers(), (1..=40).collect::<Vec<u64>>());
        let first = &records[0];
        first.note_request_model("gpt-5.6");
        first.note_answer_head(true, None);
        first.note_first_output();
        first.count_deltas(7);
        first.count_response_bytes(100);
        let live = observer.open_records().unwrap().all().remove(0);
        assert_eq!(live.caller.uid, Some(0));
        assert_eq!(live.model.as_deref(), Some("gpt-5.6"));
        assert!(live.is_answered && live.streams_for.is_some());
        assert_eq!((live.deltas, live.response_bytes), (7, 100));
        assert_eq!(observer.in_flight().deltas(), 7);
        drop(records);
        assert_eq!(numbers(), Vec::<u64>::new());
    }

    #[test]
    fn a_rate_is_that_since_the_first_delta_and_of_a_moment_there_is_none() {
        let live = |streams_for, deltas| Live {
            number: 1,
            caller: CallerFacts::default(),
            model: None,
            age: Duration::from_secs(9),
            is_answered: true,
            streams_for,
            deltas,
            request_bytes: 0,
            response_bytes: 0,
        };
        let of = |seconds| Some(Duration::from_secs_f64(seconds));
        assert!((live(of(2.0), 84).rate() - 42.0).abs() < 1e-9);
        assert!(live(of(0.01), 84).rate().abs() < 1e-9);
        assert!(live(None, 0).rate().abs() < 1e-9);
    }
}

//! One thread reads the records of finished requests and gives each to every sink.
//!
//! It never waits for a sink: those that write have threads of their own, with queues that end. What they had to
//! drop is counted, and said once a minute.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use codex_secret_memory::return_free_memory;

use crate::observe::access_log::write_line;
use crate::observe::audit_log::AuditLog;
use crate::observe::cost::{Cost, Costs};
use crate::observe::finished::Finished;
use crate::observe::log_writer::LogWriter;
use crate::observe::metrics::{DroppedOf, Metrics};
use crate::observe::observer::Observer;
use crate::observe::queue::Queue;
use crate::observe::stderr;
use crate::observe::summary::{self, Summary};
use crate::observe::text_line::{dollars, text_line};
use crate::observe::timestamp::TimeOfDay;

/// How many records may wait to be read.
pub(crate) const MOST_WAITING: usize = 64 * 1024;

/// The stack of the thread, in bytes.
const STACK: usize = 512 * 1024;

/// So many bytes of lines are handed over at once: of more than fit in a log's queue all would be dropped.
const HANDED_OVER: usize = 64 * 1024;

/// How often it is said what logs had to drop.
const DROPS_SAID_EVERY: Duration = Duration::from_secs(60);

/// So many refusals a second of requests whose heads were not read have a line each.
const UNREAD_A_SECOND: u32 = 50;

/// How often the line at the bottom of a terminal changes.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// How long nothing may happen before the reader looks up.
const IDLE: Duration = Duration::from_secs(5);

/// How long the end waits for the last lines of each log.
const LAST_LINES: Duration = Duration::from_millis(500);

/// What standard error gets of each request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnStderr {
    /// Nothing; faults are said where they happen.
    Faults,
    /// A line for a person. On a terminal there is a line at the bottom that says what goes on, and a summary
    /// at the end.
    Text {
        time_of_day: TimeOfDay,
        is_terminal: bool,
    },
    /// The line of the access log.
    Json,
}

/// Whom records are given to.
#[derive(Debug)]
pub(crate) struct Sinks {
    pub(crate) on_stderr: OnStderr,
    pub(crate) access_log: Option<LogWriter>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) audit_log: Option<AuditLog>,
}

/// The thread that does.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: Arc<Queue<Finished>>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Starts the thread, which is as confined as the one that starts it. `costs` is called on it.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start(
        queue: Arc<Queue<Finished>>,
        observer: Observer,
        costs: impl FnOnce() -> Costs + Send + 'static,
        sinks: Sinks,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new()
            .name("records".to_owned())
            .stack_size(STACK)
            .spawn({
                let queue = Arc::clone(&queue);
                move || {
                    let costs = costs();
                    // Decoding the list of prices takes twice what is kept of it.
                    return_free_memory();
                    let reader = Reader {
                        observer,
                        costs,
                        sinks,
                        lines: Vec::new(),
                        summary: Summary::default(),
                        status: Status::default(),
                        drops: Drops::default(),
                        unread: Unread::default(),
                    };
                    reader.read(&queue);
                }
            })?;
        Ok(Self { queue, thread })
    }

    /// Waits until every sink has what there was. Nothing is to be recorded after.
    pub(crate) fn end(self) {
        self.queue.close();
        // It panics nowhere that is known; what is left unsaid then is not worth ending otherwise for.
        let _ = self.thread.join();
    }
}

struct Reader {
    observer: Observer,
    costs: Costs,
    sinks: Sinks,
    /// Those of one batch.
    lines: Vec<u8>,
    summary: Summary,
    status: Status,
    drops: Drops,
    unread: Unread,
}

/// When the line at the bottom was written last, and what it said.
#[derive(Debug, Default)]
struct Status {
    said: Option<Instant>,
    deltas: u64,
}

/// Refusals of requests whose heads were not read: whoever may not call can cause any number of them, and each would
/// be a line in every log.
#[derive(Debug, Default)]
struct Unread {
    second: Option<Instant>,
    written: u32,
    /// Those that are in no log, and not said yet.
    counted: u64,
}

impl Unread {
    fn is_written(&mut self, now: Instant) -> bool {
        if self
            .second
            .is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1))
        {
            self.second = Some(now);
            self.written = 0;
        }
        let is_written = self.written < UNREAD_A_SECOND;
        if is_written {
            self.written += 1;
        } else {
            self.counted += 1;
        }
        is_written
    }
}

/// What was dropped and not said yet.
#[derive(Debug, Default)]
struct Drops {
    records: u64,
    access_log: u64,
    said: Option<Instant>,
}

impl Reader {
    fn read(mut self, queue: &Queue<Finished>) {
        let has_status = matches!(
            self.sinks.on_stderr,
            OnStderr::Text {
                is_terminal: true,
                ..
            }
        );
        let limit = if has_status { STATUS_EVERY } else { IDLE };
        loop {
            let batch = queue.next_batch(limit);
            self.drops.records += batch.dropped;
            self.count_dropped(DroppedOf::Records, batch.dropped);
            self.give(batch.items);
            if let Some(log) = &mut self.sinks.audit_log {
                log.tend(batch.dropped);
            }
            if has_status {
                self.say_status();
            }
            self.say_drops(batch.is_last);
            if batch.is_last {
                return self.end(has_status);
            }
            queue.rest();
        }
    }

    fn give(&mut self, batch: impl IntoIterator<Item = Finished>) {
        let mut lines = 0;
        let wants_lines =
            self.sinks.access_log.is_some() || matches!(self.sinks.on_stderr, OnStderr::Json);
        let wants_lines = wants_lines || self.sinks.audit_log.is_some();
        for finished in batch {
            let cost = self.costs.of(&finished);
            if let Some(metrics) = &mut self.sinks.metrics {
                metrics.record(&finished, cost, self.observer.names());
            }
            if finished.method.is_none() && !self.unread.is_written(Instant::now()) {
                continue;
            }
            let from = self.lines.len();
            if wants_lines {
                write_line(&mut self.lines, &finished, cost, &self.observer);
                lines += 1;
            }
            if let Some(log) = &mut self.sinks.audit_log {
                let line = self.lines.get(from..).unwrap_or_default();
                log.add(line, finished.path.is_some());
            }
            match self.sinks.on_stderr {
                OnStderr::Faults => {}
                OnStderr::Text { time_of_day, .. } => {
                    let names = self.observer.names();
                    stderr::line(text_line(&finished, cost, names, time_of_day));
                    self.summary.add(&finished, cost, names);
                }
                OnStderr::Json => {
                    let line = self.lines.get(from..).unwrap_or_default();
                    stderr::json_line(line);
                }
            }
            if self.lines.len() >= HANDED_OVER {
                self.hand_over(std::mem::take(&mut lines));
            }
        }
        self.hand_over(lines);
    }

    /// Gives the access log the lines that are there, so many.
    fn hand_over(&mut self, lines: u64) {
        if let Some(log) = &self.sinks.access_log
            && lines > 0
        {
            // Those that find no room are counted there.
            let _ = log.push(&self.lines, lines);
        }
        self.lines.clear();
    }

    /// `3 requests  142 tok/s  $1.24`
    fn say_status(&mut self) {
        let in_flight = self.observer.in_flight();
        let requests = in_flight.requests();
        if requests == 0 {
            return stderr::status(None);
        }
        let now = Instant::now();
        let since = self.status.said.map(|said| now.duration_since(said));
        if since.is_some_and(|since| since < STATUS_EVERY) {
            return;
        }
        let deltas = in_flight.deltas();
        let fresh = deltas - self.status.deltas;
        self.status.deltas = deltas;
        self.status.said = Some(now);
        #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
        let rate = since.map_or(0.0, |since| fresh as f64 / since.as_secs_f64());
        let requests = summary::requests(u64::try_from(requests).unwrap_or(u64::MAX));
        let spent = self.summary.cost().map_or_else(String::new, |usd| {
            let is_estimated = false;
            format!("  {} so far", dollars(Cost { usd, is_estimated }))
        });
        stderr::status(Some(format!("{requests}  {rate:.0} tok/s{spent}")));
    }

    fn count_dropped(&self, of: DroppedOf, count: u64) {
        if let Some(metrics) = &self.sinks.metrics {
            metrics.count_dropped(of, count);
        }
    }

    /// Once a minute, and at the end.
    fn say_drops(&mut self, is_last: bool) {
        let now = Instant::now();
        let is_due = self
            .drops
            .said
            .is_none_or(|said| now.duration_since(said) >= DROPS_SAID_EVERY);
        let mut failure = None;
        if let Some(log) = &self.sinks.access_log {
            let state = log.state();
            self.drops.access_log += state.dropped;
            self.count_dropped(DroppedOf::AccessLog, state.dropped);
            failure = state.failure;
        }
        if !(is_due || is_last) {
            return;
        }
        if self.drops.access_log > 0 {
            let count = std::mem::take(&mut self.drops.access_log);
            let cause = failure.unwrap_or_else(|| "it takes none".to_owned());
            stderr::line(format_args!("--access-log: {count} lines dropped: {cause}"));
            self.drops.said = Some(now);
        } else if let Some(cause) = failure {
            stderr::line(format_args!("--access-log: lines are waiting: {cause}"));
            self.drops.said = Some(now);
        }
        if self.unread.counted > 0 {
            let count = std::mem::take(&mut self.unread.counted);
            stderr::line(format_args!(
                "{count} refusals are in no log: more than {UNREAD_A_SECOND} a second were of requests whose heads \
                 were not read"
            ));
            self.drops.said = Some(now);
        }
        if self.drops.records > 0 {
            let count = std::mem::take(&mut self.drops.records);
            stderr::line(format_args!(
                "{count} requests are in no log: they came too fast"
            ));
            self.drops.said = Some(now);
        }
    }

    fn end(mut self, has_summary: bool) {
        if let Some(log) = &self.sinks.access_log {
            log.close(LAST_LINES);
        }
        if let Some(log) = &mut self.sinks.audit_log {
            log.end();
        }
        self.say_drops(true);
        if has_summary {
            stderr::status(None);
            let peak = self.observer.in_flight().peak();
            self.summary.lines(peak).iter().for_each(stderr::line);
        }
    }
}

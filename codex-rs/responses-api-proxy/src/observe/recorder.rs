//! One thread reads the records of finished requests and gives each to every sink.
//!
//! It never waits for a sink: those that write have threads of their own, with queues that end. What they had to
//! drop is counted, and said once a minute.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use codex_secret_memory::return_free_memory;

use crate::observe::access_log::write_line;
use crate::observe::audit_log::AuditLog;
use crate::observe::cost::Costs;
use crate::observe::finished::Finished;
use crate::observe::log_writer::LogWriter;
use crate::observe::metrics::{DroppedOf, Metrics};
use crate::observe::observer::Observer;
use crate::observe::queue::Queue;
use crate::observe::status_line::{self, Change, StatusLine};
use crate::observe::stderr;
use crate::observe::summary::Summary;
use crate::observe::tally::Tally;
use crate::observe::text_line::text_line;
use crate::observe::timestamp::TimeOfDay;
use crate::observe::unread_heads::{LINES_A_SECOND, UnreadHeads};

/// How many records may wait to be read.
pub(crate) const MOST_WAITING: usize = 64 * 1024;

/// The stack of the thread, in bytes.
const STACK: usize = 512 * 1024;

/// So many bytes of lines are handed over at once: of more than fit in a log's queue all would be dropped.
const HANDED_OVER: usize = 64 * 1024;

/// How often it is said what logs had to drop.
const DROPS_SAID_EVERY: Duration = Duration::from_secs(60);

/// Why lines or records are dropped where nothing else is wrong.
const TOO_SLOW: &str = "they came faster than they could be written";

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
    pub(crate) tally: Option<Tally>,
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
                        status: StatusLine::default(),
                        drops: Drops::default(),
                        unread: UnreadHeads::default(),
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
    status: StatusLine,
    drops: Drops,
    unread: UnreadHeads,
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
        let limit = if has_status { status_line::EVERY } else { IDLE };
        let mut emptied = VecDeque::new();
        loop {
            let mut batch = queue.next_batch(limit, emptied);
            self.drops.records += batch.dropped;
            self.count_dropped(DroppedOf::Records, batch.dropped);
            self.give(batch.items.drain(..));
            emptied = batch.items;
            if let Some(log) = &mut self.sinks.audit_log {
                log.tend(batch.dropped);
            }
            if batch.is_last {
                return self.end(has_status);
            }
            if has_status {
                self.say_status();
            }
            self.say_drops(false);
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
            if let Some(tally) = &self.sinks.tally {
                tally.add(&finished, cost);
            }
            if finished.is_of_unread_head()
                && !self.unread.has_line(finished.caller.uid, Instant::now())
            {
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

    fn say_status(&mut self) {
        let in_flight = self.observer.in_flight();
        let spent = self.summary.cost();
        match self.status.change(in_flight, spent, Instant::now()) {
            Change::None => {}
            Change::Gone => stderr::status(None),
            Change::Text(text) => stderr::status(Some(text)),
        }
    }

    fn count_dropped(&self, of: DroppedOf, count: u64) {
        if let Some(metrics) = &self.sinks.metrics {
            metrics.count_dropped(of, count);
        }
        if let Some(tally) = self.sinks.tally.as_ref().filter(|_| count > 0) {
            match of {
                DroppedOf::Records => tally.count_dropped_records(count),
                DroppedOf::AccessLog => tally.count_dropped_of_access_log(count),
            }
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
            let cause = failure.unwrap_or_else(|| TOO_SLOW.to_owned());
            stderr::line(format_args!("--access-log: {count} lines dropped: {cause}"));
            self.drops.said = Some(now);
        } else if let Some(cause) = failure {
            stderr::line(format_args!("--access-log: lines are waiting: {cause}"));
            self.drops.said = Some(now);
        }
        let unread = self.unread.take_counted();
        if unread > 0 {
            if let Some(log) = &mut self.sinks.audit_log {
                log.count_refused(unread);
            }
            stderr::line(format_args!(
                "{unread} refusals were not logged: of requests whose heads were not read, {LINES_A_SECOND} a \
                 second of each user are"
            ));
            self.drops.said = Some(now);
        }
        if self.drops.records > 0 {
            let count = std::mem::take(&mut self.drops.records);
            stderr::line(format_args!("{count} requests were not logged: {TOO_SLOW}"));
            self.drops.said = Some(now);
        }
    }

    fn end(mut self, has_summary: bool) {
        if let Some(log) = &self.sinks.access_log
            && !log.close(LAST_LINES)
        {
            self.drops.access_log += log.unwritten();
        }
        self.say_drops(true);
        if let Some(log) = &mut self.sinks.audit_log {
            log.end();
        }
        if has_summary {
            stderr::status(None);
            let peak = self.observer.in_flight().peak();
            self.summary.lines(peak).iter().for_each(stderr::line);
        }
    }
}

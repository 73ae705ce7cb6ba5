//! The audit log: the lines of the access log in a [chain](codex_audit_log::Chain), and lines that say what is not
//! among them.
//!
//! What the writer does not take never gets into the chain, so that a chain is whole whatever became of the disk. It
//! is counted, and a line of the log says how many. Where a log is required nothing that went upstream is missing:
//! while lines do not get to the file, requests are refused, the records of those in flight wait, and of those
//! refused the number alone is kept.

use std::time::{Duration, Instant, SystemTime};

use codex_audit_log::Chain;
use serde::Serialize;

use crate::observe::log_writer::{LogState, LogWriter};
use crate::observe::observer::Observer;
use crate::observe::stderr;
use crate::observe::timestamp::Rfc3339;

/// How many bytes of lines are handed to the writer at once: all of them, or none.
const PIECE: usize = 64 * 1024;

/// How often the same trouble is said.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The version of the shape, as in the access log.
const VERSION: u8 = 1;

/// The first line of each start.
#[derive(Serialize)]
struct Start {
    event: &'static str,
    ts: Rfc3339,
    v: u8,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    version: &'static str,
    /// What the ids of all requests of this start begin with.
    start: String,
}

/// Records that are not in the log.
#[derive(Serialize)]
struct Missing {
    event: &'static str,
    ts: Rfc3339,
    v: u8,
    count: u64,
}

/// Turns records into lines of the chain.
#[derive(Debug)]
pub(crate) struct AuditLog {
    writer: LogWriter,
    chain: Chain,
    is_required: bool,
    /// Lines that have no place in the chain yet.
    lines: Vec<u8>,
    /// Records of which the log does not say yet that they are not in it.
    missing: Counts,
    said: Said,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// There was no room for them.
    dropped: u64,
    /// Nothing went upstream, and the log could not be written.
    refused: u64,
}

/// What standard error was told.
#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    is_trouble: bool,
    /// Not said yet.
    dropped: u64,
}

impl AuditLog {
    /// Begins with the line of this start.
    pub(crate) fn begin(
        writer: LogWriter,
        chain: Chain,
        is_required: bool,
        observer: &Observer,
    ) -> Self {
        #[cfg(unix)]
        let uid = Some(rustix::process::getuid().as_raw());
        #[cfg(not(unix))]
        let uid = None;
        let mut log = Self {
            writer,
            chain,
            is_required,
            lines: line(&Start {
                event: "start",
                ts: Rfc3339(SystemTime::now()),
                v: VERSION,
                pid: std::process::id(),
                uid,
                version: env!("CARGO_PKG_VERSION"),
                start: observer.ids().start().to_string(),
            }),
            missing: Counts::default(),
            said: Said::default(),
        };
        log.hand_over(true);
        log
    }

    /// Adds the line of a request, its end included. `is_permitted`: something may have gone upstream.
    pub(crate) fn add(&mut self, line: &[u8], is_permitted: bool) {
        if self.is_required && !is_permitted && self.writer.stuck().is_set() {
            self.missing.refused += 1;
            return;
        }
        self.lines.extend_from_slice(line);
        if self.lines.len() >= PIECE {
            self.hand_over(false);
        }
    }

    /// So many refusals have no line: of requests of which nothing went upstream.
    pub(crate) fn count_refused(&mut self, count: u64) {
        self.missing.refused += count;
    }

    /// To be called after some lines, and now and then: hands on what was added, and says what is wrong. `lost`
    /// records did not get here.
    pub(crate) fn tend(&mut self, lost: u64) {
        self.missing.dropped += lost;
        self.said.dropped += lost;
        // In this order, so that the cause is known of what is said.
        let is_stuck = self.writer.stuck().is_set();
        let state = self.writer.state();
        self.hand_over(state.failure.is_none());
        self.say(&state, is_stuck, false);
    }

    /// Waits for the last lines, and says the hash of the last one.
    pub(crate) fn end(&mut self) {
        self.hand_over(true);
        let is_written = self.writer.close(LAST_LINES);
        let is_stuck = self.writer.stuck().is_set();
        let state = self.writer.state();
        self.say(&state, is_stuck, true);
        if is_written {
            stderr::line(format_args!(
                "--audit-log: {} lines since the start; hash of the last one: {}",
                self.chain.lines(),
                self.chain.last()
            ));
        } else {
            stderr::line(format_args!(
                "--audit-log: the last lines are not in the file{}; `audit verify` says where it ends",
                because(&state)
            ));
        }
    }

    /// `is_written`: lines get to the file, as far as is known.
    fn hand_over(&mut self, is_written: bool) {
        let mut chain = self.chain.clone();
        let mut piece = Vec::with_capacity(self.lines.len() * 2);
        let mut unsaid = self.missing;
        // What is missing comes before what follows it; and without need it is said once.
        if unsaid.dropped > 0 && (is_written || !self.lines.is_empty()) {
            append_missing(&mut chain, &mut piece, "dropped", &mut unsaid.dropped);
        }
        if unsaid.refused > 0 && is_written && !self.writer.stuck().is_set() {
            append_missing(&mut chain, &mut piece, "refused", &mut unsaid.refused);
        }
        let mut count = 0;
        for object in self.lines.split(|&byte| byte == b'\n') {
            if !object.is_empty() {
                count += 1;
                if !chain.append(object, &mut piece) {
                    // It cannot be: every string in it is short.
                    unsaid.dropped += 1;
                    self.said.dropped += 1;
                }
            }
        }
        self.lines.clear();
        if piece.is_empty() || self.writer.push(&piece, count) {
            self.chain = chain;
            self.missing = unsaid;
        } else {
            self.missing.dropped += count;
            self.said.dropped += count;
        }
    }

    /// At once, and then once a minute.
    fn say(&mut self, state: &LogState, is_stuck: bool, is_last: bool) {
        let now = Instant::now();
        let is_stuck = self.is_required && is_stuck;
        let is_failing = is_stuck || state.failure.is_some();
        let said = &mut self.said;
        let dropped = match said.dropped {
            0 => None,
            1 => Some("1 record is missing".to_owned()),
            several => Some(format!("{several} records are missing")),
        };
        if said.is_trouble && !is_failing {
            let also = dropped.map_or_else(String::new, |dropped| format!("; {dropped}"));
            said.is_trouble = false;
            said.dropped = 0;
            return stderr::line(format_args!("--audit-log: lines are written again{also}"));
        }
        let what = match dropped {
            _ if is_stuck => "requests are refused until lines can be written".to_owned(),
            Some(dropped) => dropped,
            None if is_failing => "lines are waiting".to_owned(),
            None => return,
        };
        let is_due = said
            .at
            .is_none_or(|at| now.duration_since(at) >= SAID_EVERY);
        if is_due || is_last {
            stderr::line(format_args!("--audit-log: {what}{}", because(state)));
            *said = Said {
                at: Some(now),
                is_trouble: is_failing,
                dropped: 0,
            };
        }
    }
}

fn append_missing(chain: &mut Chain, to: &mut Vec<u8>, event: &'static str, count: &mut u64) {
    let missing = Missing {
        event,
        ts: Rfc3339(SystemTime::now()),
        v: VERSION,
        count: *count,
    };
    if chain.append(line(&missing).trim_ascii_end(), to) {
        *count = 0;
    }
}

/// Empty if nothing is known.
fn because(state: &LogState) -> String {
    let cause = state.failure.as_ref();
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}

/// With its end. Numbers and strings cannot fail to serialize.
fn line(object: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;

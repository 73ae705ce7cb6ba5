//! The one place that writes to standard error.
//!
//! Standard error may be a terminal that somebody has stopped, a pipe that nobody
//! reads, or a file on a file system that is frozen: a write to it can take for ever,
//! and poll(2) does not say so beforehand (a terminal with little room is "ready"). So
//! once there are callers, lines are written by a thread of their own, from a queue
//! with an end: what does not fit is dropped and counted. Nobody waits for that thread,
//! apart from a moment at the end for the last lines ([`flush`]).
//!
//! Nothing that is written here may hold a header, a body or a credential; what a line
//! repeats of an upstream's words goes through [`printable`].

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use codex_process_hardening::stderr_has_room;
use serde::Serialize;

use crate::observe::printable::printable;
use crate::observe::repeats::{COUNTED_FOR, Repeats};
use crate::observe::timestamp::Rfc3339;

/// The longest line, in bytes: what a pipe with room is sure to take at once (pipe(7)).
const LONGEST: usize = 4096;

/// The longest text in a line that is a JSON object, in bytes: escaped it may be twice as long.
const LONGEST_MESSAGE: usize = 1500;

/// Takes away what is in the line that the cursor of a terminal is in (console_codes(4)).
const CLEAR_LINE: &str = "\r\u{1b}[K";

/// The stack of the thread that writes, in bytes.
const STACK: usize = 256 * 1024;

/// How many lines may wait to be written.
const WAITING: usize = 256;

/// How long the writer sleeps where nothing wakes it.
const IDLE: Duration = Duration::from_secs(3600);

/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_millis(200);

/// How many lines found no room, ever.
static DROPPED: AtomicU64 = AtomicU64::new(0);

static REPORT: Report = Report {
    lines: Mutex::new(Lines {
        waiting: VecDeque::new(),
        dropped: 0,
        is_writing: false,
        has_writer: false,
        as_json: false,
        repeats: Repeats::new(COUNTED_FOR),
        status: Status {
            wanted: None,
            shown: None,
        },
    }),
    changed: Condvar::new(),
};

/// The lines on their way to standard error.
struct Report {
    lines: Mutex<Lines>,
    /// There is more to write, or all is written.
    changed: Condvar,
}

struct Lines {
    waiting: VecDeque<Vec<u8>>,
    /// How many found no room, since the last one that was written.
    dropped: u64,
    /// The writer has taken a line and not come back for the next.
    is_writing: bool,
    has_writer: bool,
    /// Lines are JSON objects.
    as_json: bool,
    repeats: Repeats,
    status: Status,
}

/// The line at the bottom of a terminal, which is not ended.
#[derive(Default)]
struct Status {
    wanted: Option<String>,
    shown: Option<String>,
}

impl Lines {
    /// What is to be written next, if anything is.
    fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        let line = self.next_line(now);
        let status = &mut self.status;
        match line {
            // The status is shown again once there are no more lines.
            Some(line) if status.shown.take().is_some() => {
                Some([CLEAR_LINE.as_bytes(), &line].concat())
            }
            Some(line) => Some(line),
            None if status.wanted == status.shown => None,
            None => {
                status.shown.clone_from(&status.wanted);
                let text = status.shown.as_deref().unwrap_or_default();
                Some(format!("{CLEAR_LINE}{text}").into())
            }
        }
    }

    fn next_line(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(line) = self.waiting.pop_front() {
            return Some(line);
        }
        if self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            let text = format!("{count} lines dropped: standard error took none");
            return Some(rendered(&text, self.as_json));
        }
        let as_json = self.as_json;
        let repeated = self.repeats.due(now);
        let lines: Vec<u8> = repeated
            .lines()
            .flat_map(|line| rendered(line, as_json))
            .collect();
        (!lines.is_empty()).then_some(lines)
    }
}

impl Report {
    /// Writes a line, or leaves it to the writer; in either case without waiting.
    fn line(&self, line: Vec<u8>, write: impl FnOnce(&[u8])) {
        let mut lines = self.lock();
        if !lines.has_writer {
            // Still locked: between the look whether there is room and the write nobody
            // else may fill it.
            write(&line);
        } else if lines.waiting.len() < WAITING {
            lines.waiting.push_back(line);
            drop(lines);
            self.changed.notify_all();
        } else {
            lines.dropped = lines.dropped.saturating_add(1);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a line that says `what` is to be written. If not the writer has its number to write, later.
    fn is_written(&self, what: &str) -> bool {
        let is_written = self.lock().repeats.is_written(what, Instant::now());
        if !is_written {
            self.changed.notify_all();
        }
        is_written
    }

    /// Writes what comes, for ever. Lines that were dropped are counted in one that comes
    /// behind those that stood before them.
    fn write_to(&self, mut write: impl FnMut(&[u8])) {
        loop {
            let mut lines = self.lock();
            lines.is_writing = false;
            let next = loop {
                let now = Instant::now();
                if let Some(next) = lines.next(now) {
                    break next;
                }
                self.changed.notify_all();
                let due = lines.repeats.next_due();
                let limit = due
                    .filter(|_| lines.repeats.has_counted())
                    .map_or(IDLE, |due| due.saturating_duration_since(now));
                lines = self
                    .changed
                    .wait_timeout(lines, limit)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            };
            lines.is_writing = true;
            drop(lines);
            write(&next);
        }
    }

    /// Waits until all is written, but not for longer than `limit`. False if it is not.
    fn flush(&self, limit: Duration) -> bool {
        let is_unwritten = |lines: &mut Lines| {
            lines.has_writer
                && (lines.is_writing
                    || lines.dropped > 0
                    || !lines.waiting.is_empty()
                    || lines.status.wanted != lines.status.shown)
        };
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), limit, is_unwritten)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes one line, or drops it where standard error does not take it.
pub(crate) fn line(text: impl fmt::Display) {
    let as_json = REPORT.lock().as_json;
    put(rendered(&text.to_string(), as_json));
}

/// As [`line`](fn@line), unless lines with the same `what` have just been written: then they are counted
/// ([`Repeats`]).
pub(crate) fn repeated_line(what: &str, text: &str) {
    if REPORT.is_written(what) {
        line(text);
    }
}

/// Writes a line that is a JSON object already, its end included.
pub(crate) fn json_line(line: &[u8]) {
    put(line.to_vec());
}

/// What the line at the bottom of a terminal says from now on.
pub(crate) fn status(text: Option<String>) {
    REPORT.lock().status.wanted = text;
    REPORT.changed.notify_all();
}

/// From now on each line is a JSON object with the text as its `message`.
pub(crate) fn write_as_json() {
    REPORT.lock().as_json = true;
}

fn put(line: Vec<u8>) {
    REPORT.line(line, |line| {
        if stderr_has_room() {
            write(line);
        }
    });
}

#[derive(Serialize)]
struct Message<'a> {
    ts: Rfc3339,
    v: u8,
    message: &'a str,
}

/// A text as a line.
fn rendered(text: &str, as_json: bool) -> Vec<u8> {
    let mut text = printable(text);
    let mut line = if as_json {
        cut(&mut text, LONGEST_MESSAGE);
        let message = Message {
            ts: Rfc3339(SystemTime::now()),
            v: 1,
            message: &text,
        };
        // Strings and a number cannot fail to serialize.
        serde_json::to_vec(&message).unwrap_or_default()
    } else {
        cut(&mut text, LONGEST - 1);
        text.into_bytes()
    };
    line.push(b'\n');
    line
}

fn write(line: &[u8]) {
    // There is nowhere to say that it failed.
    let _ = io::stderr().write_all(line);
}

/// At most `most` bytes of it.
fn cut(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// From now on a thread of its own writes. It is confined if the caller is.
///
/// Without a thread to be had (setrlimit(2), `RLIMIT_NPROC`) lines are written as before:
/// by whoever has one, and where poll(2) says that there is room.
pub(crate) fn write_in_background() {
    let mut lines = REPORT.lock();
    if !lines.has_writer {
        let writer = thread::Builder::new()
            .name("report".to_owned())
            .stack_size(STACK);
        lines.has_writer = writer.spawn(|| REPORT.write_to(write)).is_ok();
    }
}

/// Waits a moment until what was reported is written.
pub(crate) fn flush() {
    let rest = {
        let mut lines = REPORT.lock();
        lines.status.wanted = None;
        lines.repeats.rest()
    };
    rest.lines().for_each(line);
    REPORT.flush(LAST_LINES);
}

/// How many lines standard error did not take in time, so far.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Does so when it is dropped, however its owner ends.
#[derive(Debug)]
pub(crate) struct FlushAtTheEnd;

impl Drop for FlushAtTheEnd {
    fn drop(&mut self) {
        flush();
    }
}

/// The last line of a run that failed: what failed, then its causes.
pub fn failure(error: &anyhow::Error) {
    line(format_args!("Error: {error:#}"));
    flush();
}

/// Panics are reported by their place in the source alone: a message may hold
/// whatever was being worked on.
pub(crate) fn panics_without_payload() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        line(format_args!("internal error at {place}"));
    }));
}

#[cfg(test)]
mod tests;

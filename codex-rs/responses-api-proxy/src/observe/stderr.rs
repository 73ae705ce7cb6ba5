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
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use codex_process_hardening::stderr_has_room;

use crate::observe::printable::printable;

/// The longest line, in bytes: what a pipe with room is sure to take at once (pipe(7)).
const LONGEST: usize = 4096;

/// The stack of the thread that writes, in bytes.
const STACK: usize = 256 * 1024;

/// How many lines may wait to be written.
const WAITING: usize = 256;

/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_millis(200);

static REPORT: Report = Report {
    lines: Mutex::new(Lines {
        waiting: VecDeque::new(),
        dropped: 0,
        is_writing: false,
        has_writer: false,
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
        }
    }

    /// Writes what comes, for ever. Lines that were dropped are counted in one that comes
    /// behind those that stood before them.
    fn write_to(&self, mut write: impl FnMut(&[u8])) {
        loop {
            let mut lines = self.lock();
            lines.is_writing = false;
            let next = loop {
                if let Some(line) = lines.waiting.pop_front() {
                    break line;
                }
                if lines.dropped > 0 {
                    let count = std::mem::take(&mut lines.dropped);
                    break format!("{count} lines dropped: standard error took none\n").into();
                }
                self.changed.notify_all();
                lines = self
                    .changed
                    .wait(lines)
                    .unwrap_or_else(PoisonError::into_inner);
            };
            lines.is_writing = true;
            drop(lines);
            write(&next);
        }
    }

    /// Waits until all is written, but not for longer than `limit`. False if it is not.
    fn flush(&self, limit: Duration) -> bool {
        let is_unwritten = |lines: &mut Lines| {
            lines.has_writer && (lines.is_writing || lines.dropped > 0 || !lines.waiting.is_empty())
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
    let mut line = printable(&text.to_string()).into_bytes();
    line.truncate(LONGEST - 1);
    line.push(b'\n');
    REPORT.line(line, |line| {
        if stderr_has_room() {
            write(line);
        }
    });
}

fn write(line: &[u8]) {
    // There is nowhere to say that it failed.
    let _ = io::stderr().write_all(line);
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
    REPORT.flush(LAST_LINES);
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
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    fn report() -> Arc<Report> {
        let lines = Mutex::new(Lines {
            waiting: VecDeque::new(),
            dropped: 0,
            is_writing: false,
            has_writer: true,
        });
        let changed = Condvar::new();
        Arc::new(Report { lines, changed })
    }

    /// A writer on a thread of its own, to a place that takes a line when somebody
    /// receives it.
    fn written(report: &Arc<Report>) -> Receiver<String> {
        let (sender, receiver): (SyncSender<String>, _) = sync_channel(0);
        let report = Arc::clone(report);
        thread::spawn(move || {
            report.write_to(|line| {
                let line = String::from_utf8(line.to_vec()).unwrap();
                // The test is over.
                let _ = sender.send(line);
            });
        });
        receiver
    }

    fn say(report: &Report, text: &str) {
        report.line(text.into(), |_| panic!("written by whoever had the line"));
    }

    #[test]
    fn lines_that_find_no_room_are_dropped_and_counted_and_nobody_waits() {
        let report = report();
        let count = WAITING + 50;
        for number in 0..count {
            say(&report, &number.to_string());
        }
        assert!(!report.flush(Duration::ZERO));
        let written = written(&report);
        for number in 0..WAITING {
            assert_eq!(written.recv().unwrap(), number.to_string());
        }
        let dropped = "50 lines dropped: standard error took none\n";
        assert_eq!(written.recv().unwrap(), dropped);
        assert!(report.flush(Duration::from_secs(60)));
        say(&report, "as before");
        assert_eq!(written.recv().unwrap(), "as before");
    }

    #[test]
    fn a_flush_waits_for_the_line_that_is_being_written_and_not_for_ever() {
        let report = report();
        let written = written(&report);
        say(&report, "last");
        assert!(!report.flush(Duration::from_millis(1)));
        let reader = thread::spawn(move || written.recv().unwrap());
        assert!(report.flush(Duration::from_secs(60)));
        assert_eq!(reader.join().unwrap(), "last");
    }

    #[test]
    fn without_a_writer_a_line_is_written_by_whoever_has_it() {
        let report = report();
        report.lock().has_writer = false;
        let mut written = Vec::new();
        report.line(b"line".to_vec(), |line| written = line.to_vec());
        assert_eq!(written, b"line");
        assert!(report.flush(Duration::ZERO));
    }
}

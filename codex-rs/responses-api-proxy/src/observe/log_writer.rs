//! Writes lines to a file on a thread of its own: a disk that is full or frozen, or a FIFO that nobody reads, makes
//! nobody else wait.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes of lines may wait to be written, before more are dropped or the log counts as stuck.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// After a write that failed, how long until the next.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The stack of the thread, in bytes.
const STACK: usize = 128 * 1024;

/// Where lines are written.
pub(crate) trait LogTarget: Write + Send + 'static {
    /// From now on to the file that has the name by now. If there is none, and none can be made, the one that is open
    /// stays. Whether it is another file than before.
    fn reopen(&mut self) -> bool;
}

/// Lines on their way to a file; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to do, or nothing is left to do.
    changed: Condvar,
    when_full: WhenFull,
    stuck: Stuck,
}

/// What becomes of lines beyond those that may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// They are dropped and counted.
    Drop,
    /// They wait too: whoever pushes sees to it that there is an end to them.
    Keep,
}

/// Whether lines do not get to where they belong: the last write failed, or too many wait. A file that takes nothing
/// at the moment ([`WouldBlock`](io::ErrorKind::WouldBlock)) has not failed. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stuck(Arc<AtomicBool>);

impl Stuck {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, is_stuck: bool) {
        self.0.store(is_stuck, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// How many lines were handed over and are not written, those in [`waiting`](Self::waiting) among them.
    unwritten: u64,
    /// How many lines found no room.
    dropped: u64,
    is_reopened: bool,
    is_closed: bool,
    /// Closed, and all is written and flushed.
    is_over: bool,
    /// Why the last write failed, if it did.
    failure: Option<String>,
}

/// How a log does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    /// Lines that were dropped since this was asked for last.
    pub(crate) dropped: u64,
    /// Why nothing can be written now, if that is so.
    pub(crate) failure: Option<String>,
}

impl LogWriter {
    /// Starts the thread, which is as confined as the one that starts it. What does not fit is dropped.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start(name: &str, target: impl LogTarget) -> io::Result<Self> {
        Self::start_with(name, target, WhenFull::Drop)
    }

    /// The same, and what does not fit is what `when_full` says.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start_with(
        name: &str,
        target: impl LogTarget,
        when_full: WhenFull,
    ) -> io::Result<Self> {
        let writer = Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            when_full,
            stuck: Stuck::default(),
        }));
        let shared = Arc::clone(&writer.0);
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK)
            .spawn(move || shared.write_to(target))?;
        Ok(writer)
    }

    /// Hands over `count` whole lines. False if there is no room for them: then they are dropped, and counted.
    pub(crate) fn push(&self, lines: &[u8], count: u64) -> bool {
        let mut state = self.0.lock();
        let is_full = state.waiting.len() + lines.len() > MOST_WAITING;
        let fits = !is_full || self.0.when_full == WhenFull::Keep;
        if fits {
            state.waiting.extend_from_slice(lines);
            state.unwritten += count;
            if is_full {
                self.0.stuck.set(true);
            }
            drop(state);
            self.0.changed.notify_all();
        } else {
            state.dropped += count;
        }
        fits
    }

    /// Has the file opened anew.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no signal for it"))]
    pub(crate) fn reopen(&self) {
        self.0.lock().is_reopened = true;
        self.0.changed.notify_all();
    }

    /// For whoever does not go on while lines do not get to where they belong.
    pub(crate) fn stuck(&self) -> &Stuck {
        &self.0.stuck
    }

    pub(crate) fn state(&self) -> LogState {
        let mut state = self.0.lock();
        LogState {
            dropped: std::mem::take(&mut state.dropped),
            failure: state.failure.clone(),
        }
    }

    /// How many lines were handed over and are not written. One that was cut by a rotation counts once.
    pub(crate) fn unwritten(&self) -> u64 {
        self.0.lock().unwritten
    }

    /// Waits until all is written and flushed, but not for longer than `limit`. False if it is not. Nothing is to be
    /// pushed after.
    pub(crate) fn close(&self, limit: Duration) -> bool {
        let mut state = self.0.lock();
        state.is_closed = true;
        self.0.changed.notify_all();
        let is_unwritten = |state: &mut State| !state.is_over && state.failure.is_none();
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(state, limit, is_unwritten)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_over
    }
}

impl Shared {
    fn write_to(&self, mut target: impl LogTarget) {
        // A line of which a part is written is finished before anything else.
        let mut batch = Vec::new();
        let mut written = 0;
        loop {
            let mut state = self.lock();
            while batch.is_empty() && state.waiting.is_empty() && !state.is_reopened {
                self.changed.notify_all();
                if state.is_closed {
                    drop(state);
                    let flushed = target.flush();
                    let mut state = self.lock();
                    state.is_over = flushed.is_ok();
                    state.failure = flushed.err().map(|error| error.to_string());
                    self.changed.notify_all();
                    return;
                }
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if batch.is_empty() {
                std::mem::swap(&mut batch, &mut state.waiting);
                written = 0;
            }
            let reopens = std::mem::take(&mut state.is_reopened);
            drop(state);
            if reopens && target.reopen() {
                // The file that the first part went to has gone: all of the line goes to the new one.
                written = batch
                    .get(..written)
                    .and_then(|done| done.iter().rposition(|&byte| byte == b'\n'))
                    .map_or(0, |end| end + 1);
            }
            let rest = batch.get(written..).unwrap_or_default();
            let (more, outcome) = write_some(&mut target, rest);
            let lines = lines_in(rest.get(..more).unwrap_or_default());
            written += more;
            if written >= batch.len() {
                batch.clear();
                batch.shrink_to(MOST_WAITING / 64);
            }
            let failure = outcome.err();
            let has_failed = failure.is_some();
            self.note(lines, failure);
            if has_failed {
                self.pause();
            }
        }
    }

    /// So many more lines are written, and perhaps not all, for this reason.
    fn note(&self, lines: u64, failure: Option<io::Error>) {
        let mut state = self.lock();
        state.unwritten = state.unwritten.saturating_sub(lines);
        let has_failed = failure
            .as_ref()
            .is_some_and(|error| error.kind() != io::ErrorKind::WouldBlock);
        let is_full = state.waiting.len() > MOST_WAITING;
        self.stuck.set(has_failed || is_full);
        state.failure = failure.map(|error| error.to_string());
        if state.failure.is_some() {
            self.changed.notify_all();
        }
    }

    /// Waits for something to change, or a moment.
    fn pause(&self) {
        let state = self.lock();
        let is_as_before = |state: &mut State| !state.is_reopened && !state.is_closed;
        let state = self
            .changed
            .wait_timeout_while(state, RETRY_AFTER, is_as_before);
        if state.is_ok_and(|(state, _)| state.is_closed) {
            // The process is about to end, which does not wait for this thread.
            thread::sleep(RETRY_AFTER);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).map(|_| 1).sum()
}

/// How many bytes were written, and why not all.
fn write_some(target: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match target.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests;

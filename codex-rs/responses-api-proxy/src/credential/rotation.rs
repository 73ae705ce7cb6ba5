//! Keys that are read again: on SIGHUP, when a key has served for its time, and when the upstream refuses it; or
//! that come by themselves. One thread does nothing else, in the sandbox of the process.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::credential::generation::Generations;
use crate::credential::locked::{EmptySlot, LockedCredential, SlotPool};
use crate::credential::reload_requests::Requested;
use crate::observe::printable::excerpt;
use crate::observe::stderr;

/// How long a new key waits for memory: requests that have older ones may be slow to be sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A key that the upstream refuses is read again so often at most: any caller may make it refuse one, with a
/// header of its own.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(60);

/// Of the thread, in bytes.
const STACK: usize = 256 * 1024;

/// Where keys come from.
pub(crate) trait KeySource: Send + 'static {
    type Error: fmt::Display;

    /// Reads the next key. Blocks until it is there; `None` if there will be none any more.
    ///
    /// # Errors
    ///
    /// Why there is none; what was read of it is wiped. Says nothing of the key itself.
    fn read(&mut self, slot: EmptySlot) -> Result<Option<LockedCredential>, Self::Error>;
}

/// When keys are read after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// When that is requested, and this long after the last time.
    WhenAsked { ttl: Option<Duration> },
    /// One after the other, as they come; the source blocks meanwhile.
    AsTheyCome,
}

/// What replaces one key by the next.
pub(crate) struct Rotation<S> {
    source: S,
    /// What a line calls the source, such as `--key-file /etc/codex-proxy/key`.
    name: String,
    reading: Reading,
    pool: Arc<SlotPool>,
    generations: &'static Generations,
}

/// What became of one reading.
enum Read {
    Replaced(u64),
    /// The same key again.
    Same,
    Failed(String),
    /// There will be no other one.
    Ended,
}

impl<S: KeySource> Rotation<S> {
    pub(crate) fn new(
        source: S,
        name: String,
        reading: Reading,
        pool: Arc<SlotPool>,
        generations: &'static Generations,
    ) -> Self {
        Self {
            source,
            name,
            reading,
            pool,
            generations,
        }
    }

    /// Goes on by itself, on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start(mut self) -> io::Result<()> {
        let begin = move || match self.reading {
            Reading::AsTheyCome => self.take_each(),
            Reading::WhenAsked { ttl } => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(self.read_when_asked(ttl)),
                    Err(error) => {
                        self.generations.reload_requests().close();
                        stderr::line(format_args!(
                            "{}: keys will not be read again: {error}",
                            self.name
                        ));
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("keys".to_owned())
            .stack_size(STACK)
            .spawn(begin)
            .map(drop)
    }

    fn take_each(&mut self) {
        loop {
            match self.read() {
                Read::Replaced(number) => self.say_replaced(number),
                Read::Same => {}
                // A line that is not a key is over when it is refused; the next one may be.
                Read::Failed(why) => self.say_kept(&why),
                Read::Ended => return,
            }
        }
    }

    /// Ends with its source.
    async fn read_when_asked(&mut self, ttl: Option<Duration>) {
        let mut refusals = Refusals::default();
        let mut last = Instant::now();
        loop {
            let due = ttl.and_then(|ttl| last.checked_add(ttl));
            let requested = tokio::select! {
                requested = self.generations.reload_requests().next() => Some(requested),
                () = until(due) => None,
            };
            let why = match requested {
                None => Why::Due,
                Some(Requested { reload: true, .. }) => Why::Asked,
                Some(Requested {
                    refused: Some(number),
                    ..
                }) => {
                    let is_in_force = self.generations.standing().generation == number;
                    if !is_in_force || !refusals.is_next_allowed(Instant::now()) {
                        continue;
                    }
                    Why::Refused
                }
                Some(Requested { refused: None, .. }) => continue,
            };
            last = Instant::now();
            match (self.read(), why) {
                (Read::Replaced(number), _) => self.say_replaced(number),
                (Read::Same, Why::Due) => {}
                (Read::Same, Why::Asked) => {
                    stderr::line(format_args!("{}: the key is the same as before", self.name));
                }
                (Read::Same, Why::Refused) => stderr::line(format_args!(
                    "the upstream refuses the key, and {} has no other one",
                    self.name
                )),
                (Read::Failed(why), _) => self.say_kept(&why),
                (Read::Ended, _) => return self.generations.reload_requests().close(),
            }
            self.generations.reload_requests().note_done();
        }
    }

    fn read(&mut self) -> Read {
        let Some(slot) = self.pool.take(PATIENCE) else {
            return Read::Failed(
                "requests with three older keys are still to be sent to the upstream".to_owned(),
            );
        };
        let read = self.source.read(slot);
        let credential = match read {
            Ok(Some(credential)) => credential,
            Ok(None) => return Read::Ended,
            Err(error) => return Read::Failed(error.to_string()),
        };
        if self.generations.is_in_force(&credential) {
            return Read::Same;
        }
        let number = self.generations.standing().generation + 1;
        match self.generations.replace(credential, number) {
            Ok(()) if self.generations.standing().generation == number => Read::Replaced(number),
            Ok(()) => {
                stderr::line(format_args!(
                    "{}: the key was read and is not used: the proxy has thrown its keys away (--expire-after)",
                    self.name
                ));
                Read::Ended
            }
            Err(error) => Read::Failed(error.to_string()),
        }
    }

    fn say_replaced(&self, number: u64) {
        stderr::line(format_args!(
            "{}: the key was replaced, by number {number}",
            self.name
        ));
    }

    fn say_kept(&self, why: &str) {
        self.generations.count_failure();
        stderr::line(format_args!(
            "{}: {}; the old key stays in use",
            self.name,
            excerpt(why)
        ));
    }
}

#[derive(Clone, Copy)]
enum Why {
    Asked,
    Refused,
    /// Its time is over.
    Due,
}

/// Which refusals of the upstream count. Pure.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    last: Option<Instant>,
}

impl Refusals {
    /// Whether enough time has passed since the last one that counted; if so, this one counts.
    pub(crate) fn is_next_allowed(&mut self, now: Instant) -> bool {
        let is_allowed = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_REFUSALS);
        if is_allowed {
            self.last = Some(now);
        }
        is_allowed
    }
}

/// `None`: never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;

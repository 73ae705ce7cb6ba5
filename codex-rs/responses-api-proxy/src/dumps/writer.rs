//! The thread that writes dumps.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::dumps::name::DumpName;
use crate::dumps::queue::{End, Item, Queue};
use crate::dumps::unfinished::{Begin, DumpError, Store, Unfinished};
use crate::observe::stderr;

/// The stack of the thread, in bytes.
const STACK: usize = 256 * 1024;

/// How often it is said what was given up.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How long nothing may happen before the thread looks up.
const IDLE: Duration = Duration::from_secs(5);

/// Starts the thread, which is as confined as the one that starts it. At most `most_open` dumps are under way at once.
///
/// # Errors
///
/// When there is no thread to be had.
pub(super) fn start(queue: Arc<Queue>, store: Store, most_open: usize) -> io::Result<()> {
    let writer = Writer {
        store,
        open: HashMap::new(),
        most_open,
        given_up: GivenUp::default(),
    };
    thread::Builder::new()
        .name("dumps".to_owned())
        .stack_size(STACK)
        .spawn(move || writer.write(&queue))?;
    Ok(())
}

struct Writer {
    store: Store,
    open: HashMap<DumpName, Unfinished>,
    most_open: usize,
    given_up: GivenUp,
}

/// Dumps that were given up and not said yet.
#[derive(Default)]
struct GivenUp {
    count: u64,
    /// Of the last one.
    why: String,
    said: Option<Instant>,
}

impl GivenUp {
    fn note(&mut self, count: u64, why: impl Into<String>) {
        self.count += count;
        self.why = why.into();
    }

    fn say(&mut self, is_last: bool) {
        let now = Instant::now();
        let is_due = self
            .said
            .is_none_or(|said| now.duration_since(said) >= SAID_EVERY);
        if self.count == 0 || !(is_due || is_last) {
            return;
        }
        let count = std::mem::take(&mut self.count);
        let why = std::mem::take(&mut self.why);
        stderr::line(format_args!("--dump-dir: {count} dumps given up: {why}"));
        self.said = Some(now);
    }
}

impl Writer {
    fn write(mut self, queue: &Queue) {
        loop {
            let batch = queue.next_batch(IDLE);
            if batch.refused > 0 {
                self.given_up.note(batch.refused, TOO_SLOW);
            }
            for item in batch.items {
                self.take(item);
            }
            self.given_up.say(batch.is_last);
            if batch.is_last {
                break;
            }
        }
        for (_, unfinished) in std::mem::take(&mut self.open) {
            unfinished.give_up(&mut self.store);
        }
        queue.note_done();
    }

    fn take(&mut self, item: Item) {
        let outcome = match item {
            Item::Begin(name, begin) => {
                self.begin(name, *begin);
                Ok(())
            }
            Item::Piece(name, piece) => {
                let taken = self
                    .open
                    .get_mut(&name)
                    .map(|dump| dump.take(&piece, &mut self.store));
                let taken = taken.unwrap_or(Ok(()));
                if taken.is_err()
                    && let Some(dump) = self.open.remove(&name)
                {
                    dump.give_up(&mut self.store);
                }
                taken
            }
            Item::End(name, end) => match (self.open.remove(&name), end) {
                (Some(dump), End::GivenUp) => {
                    dump.give_up(&mut self.store);
                    self.given_up.note(1, TOO_SLOW);
                    Ok(())
                }
                (Some(dump), end) => dump.finish(end == End::Whole, &mut self.store),
                // Given up before.
                (None, _) => Ok(()),
            },
        };
        if let Err(error) = outcome {
            let why = match error {
                DumpError::TooLarge => "larger than --dump-limit allows".to_owned(),
                DumpError::Io(cause) => cause.to_string(),
            };
            self.given_up.note(1, why);
        }
    }

    fn begin(&mut self, name: DumpName, begin: Begin) {
        if self.open.len() >= self.most_open {
            let why = format!(
                "more than {} at once, which is what descriptors allow (ulimit -n)",
                self.most_open
            );
            self.given_up.note(1, why);
            return;
        }
        self.open.insert(name, Unfinished::new(name, begin));
    }
}

const TOO_SLOW: &str = "they came faster than they could be written";

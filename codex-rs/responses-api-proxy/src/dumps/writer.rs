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
    open: HashMap<DumpName, Open>,
    most_open: usize,
    given_up: GivenUp,
}

/// A dump under way, and whose it is.
struct Open {
    user: Option<u32>,
    dump: Unfinished,
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
        for (_, open) in std::mem::take(&mut self.open) {
            open.dump.give_up(&mut self.store);
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
                    .map(|open| open.dump.take(&piece, &mut self.store));
                let taken = taken.unwrap_or(Ok(()));
                if taken.is_err()
                    && let Some(open) = self.open.remove(&name)
                {
                    open.dump.give_up(&mut self.store);
                }
                taken
            }
            Item::End(name, end) => match (self.open.remove(&name), end) {
                (Some(open), End::GivenUp) => {
                    open.dump.give_up(&mut self.store);
                    self.given_up.note(1, TOO_SLOW);
                    Ok(())
                }
                (Some(open), end) => open.dump.finish(end == End::Whole, &mut self.store),
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
        // An upload that is held open holds its dump open too.
        let most_of_user = self.most_open.div_ceil(2);
        let of_user = self.open.values().filter(|open| open.user == begin.user);
        if of_user.count() >= most_of_user {
            let why = format!("more than {most_of_user} of one user at once");
            self.given_up.note(1, why);
            return;
        }
        let open = Open {
            user: begin.user,
            dump: Unfinished::new(name, begin),
        };
        self.open.insert(name, open);
    }
}

const TOO_SLOW: &str = "they came faster than they could be written";

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::credential::known_keys::KnownKeys;
    use crate::credential::redact::Redactor;
    use crate::dumps::directory::DumpDirectory;
    use crate::dumps::name::Half;
    use crate::dumps::retention::Retention;
    use crate::dumps::token::CallerToken;

    const fn name(number: u64) -> DumpName {
        DumpName {
            unix_ms: 1,
            number,
            half: Half::Request,
        }
    }

    #[test]
    fn dumps_that_one_user_holds_open_leave_half_to_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, found) = DumpDirectory::open(dir.path(), None).unwrap();
        let mut writer = Writer {
            store: Store {
                directory,
                retention: Retention::new(1 << 20, found),
            },
            open: HashMap::new(),
            most_open: 8,
            given_up: GivenUp::default(),
        };
        let known = KnownKeys::for_tests(b"sk-Secret-0123456789");
        let begin = |number, user| {
            let begin = Begin {
                user,
                head: Vec::new(),
                redactor: Redactor::new(known, None),
                token: CallerToken::of(&HeaderMap::new(), false),
            };
            Item::Begin(name(number), Box::new(begin))
        };
        for number in 0..8 {
            writer.take(begin(number, Some(1)));
        }
        assert_eq!((writer.open.len(), writer.given_up.count), (4, 4));
        assert_eq!(writer.given_up.why, "more than 4 of one user at once");
        for number in 8..12 {
            writer.take(begin(number, Some(2)));
        }
        assert_eq!((writer.open.len(), writer.given_up.count), (8, 4));
        // One that has ended is another one's place.
        writer.take(Item::End(name(0), End::Whole));
        writer.take(begin(12, Some(1)));
        assert_eq!((writer.open.len(), writer.given_up.count), (8, 4));
        for open in std::mem::take(&mut writer.open).into_values() {
            open.dump.give_up(&mut writer.store);
        }
    }
}

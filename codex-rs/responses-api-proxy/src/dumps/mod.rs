//! Requests and answers with their bodies, a file for each, with the names and shapes of the peer's `--dump-dir`.
//!
//! Whoever serves puts copies of what passes into a queue and never waits. A thread of its own redacts and writes them:
//! to an unfinished file first, which gets its name when it is whole.

#[cfg_attr(not(unix), path = "directory_unsupported.rs")]
pub(crate) mod directory;
mod head;
mod json_layout;
mod name;
mod queue;
mod retention;
mod text;
mod token;
mod unfinished;
mod writer;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};

use crate::credential::Used;
use crate::dumps::directory::{DumpDirectory, DumpDirectoryError, Found};
use crate::dumps::head::Secrets;
use crate::dumps::name::{DumpName, Half};
use crate::dumps::queue::{End, Queue};
use crate::dumps::retention::Retention;
use crate::dumps::token::CallerToken;
use crate::dumps::unfinished::{Begin, Store};
use crate::observe::record::Record;

/// How many dumps may be under way at once, each with up to two files, half of them one user's; and which share of the
/// descriptors that is at most.
const MOST_OPEN: usize = 512;
const SHARE_OF_DESCRIPTORS: u64 = 16;

/// How long the end waits for the last dumps to be written.
const LAST_DUMPS: Duration = Duration::from_secs(1);

/// A directory for dumps, open, of which nothing is written yet.
#[derive(Debug)]
pub(crate) struct DumpsAt {
    directory: DumpDirectory,
    found: Found,
    limit: u64,
}

impl DumpsAt {
    /// For dumps of at most `limit` bytes in all. The process may become the user `becomes`.
    ///
    /// # Errors
    ///
    /// [`DumpDirectoryError`], if others could use the directory or it cannot be written.
    pub(crate) fn open(
        path: &Path,
        limit: u64,
        becomes: Option<u32>,
    ) -> Result<Self, DumpDirectoryError> {
        let (directory, found) = DumpDirectory::open(path, becomes)?;
        Ok(Self {
            directory,
            found,
            limit,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory, to be held by somebody else too.
    pub(crate) fn handle(&self) -> Option<File> {
        self.directory.handle()
    }

    /// Starts the thread that writes, which is as confined as this one. The process may have so many descriptors.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start(self, descriptors: u64) -> io::Result<Dumps> {
        let queue = Arc::new(Queue::default());
        let store = Store {
            directory: self.directory,
            retention: Retention::new(self.limit, self.found),
        };
        let share = usize::try_from(descriptors / SHARE_OF_DESCRIPTORS).unwrap_or(MOST_OPEN);
        writer::start(Arc::clone(&queue), store, share.clamp(1, MOST_OPEN))?;
        Ok(Dumps(queue))
    }
}

/// The way to the thread that writes; clones share it.
#[derive(Clone)]
pub(crate) struct Dumps(Arc<Queue>);

impl Dumps {
    /// An exchange of `user`, of which both halves are dumped. `headers` are those of the request; `has_token`: the
    /// caller was asked for a client token.
    pub(crate) fn exchange(
        &self,
        user: Option<u32>,
        record: &Record,
        headers: &HeaderMap,
        has_token: bool,
        used: &Used,
    ) -> DumpedExchange {
        let since = record.at().duration_since(UNIX_EPOCH);
        let unix_ms = since.map_or(0, |since| since.as_millis());
        DumpedExchange {
            queue: Arc::clone(&self.0),
            user,
            number: record.number(),
            unix_ms: u64::try_from(unix_ms).unwrap_or(0),
            token: CallerToken::of(headers, has_token),
            used: used.clone(),
        }
    }

    /// Waits a moment until all is written. Nothing is to be dumped after.
    pub(crate) fn close(&self) {
        // What is not written by then is removed at the next start.
        let _ = self.0.close(LAST_DUMPS);
    }
}

impl fmt::Debug for Dumps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dumps")
    }
}

/// One exchange, and what is kept out of its dumps. Without `Debug`: it holds the caller's token.
pub(crate) struct DumpedExchange {
    queue: Arc<Queue>,
    user: Option<u32>,
    number: u64,
    unix_ms: u64,
    token: CallerToken,
    used: Used,
}

impl DumpedExchange {
    /// The request goes up with this credential, which is then kept out of the dump of the answer however old it is.
    pub(crate) fn goes_with(&mut self, used: &Used) {
        self.used = used.clone();
    }

    /// Begins the dump of the request, with the headers as the caller sent them.
    pub(crate) fn request(&self, headers: &HeaderMap) -> Dump {
        self.begin(Half::Request, |secrets| head::of_request(headers, secrets))
    }

    /// Begins the dump of the answer, with the headers as the upstream sent them.
    pub(crate) fn response(&self, status: StatusCode, headers: &HeaderMap) -> Dump {
        self.begin(Half::Response, |secrets| {
            head::of_response(status, headers, secrets)
        })
    }

    fn begin(&self, half: Half, head: impl FnOnce(&Secrets<'_>) -> Vec<u8>) -> Dump {
        let name = DumpName {
            unix_ms: self.unix_ms,
            number: self.number,
            half,
        };
        let redactor = self.used.redactor();
        let head = head(&Secrets {
            redactor: &redactor,
            token: &self.token,
        });
        let begin = Begin {
            user: self.user,
            head,
            redactor,
            token: self.token.clone(),
        };
        let is_open = self.queue.begin(name, begin);
        Dump {
            queue: Arc::clone(&self.queue),
            user: self.user,
            name,
            is_open,
        }
    }
}

/// A dump under way. Dropped without [`finish`](Self::finish) there is no more of it, and the file says so.
pub(crate) struct Dump {
    queue: Arc<Queue>,
    user: Option<u32>,
    name: DumpName,
    /// Neither over nor given up.
    is_open: bool,
}

impl Dump {
    /// Adds a piece of the body, or gives the dump up if there is no room for it.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        if self.is_open && !piece.is_empty() && !self.queue.piece(self.user, self.name, piece) {
            self.end(End::GivenUp);
        }
    }

    /// The body is whole.
    pub(crate) fn finish(mut self) {
        self.end(End::Whole);
    }

    fn end(&mut self, end: End) {
        if std::mem::take(&mut self.is_open) {
            self.queue.end(self.name, end);
        }
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        self.end(End::Cut);
    }
}

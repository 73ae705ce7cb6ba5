//! Which answer goes to which request, and the plan of writes an answer comes down to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::gate::Gate;
use crate::recorded::RecordedRequest;
use crate::reply::{Kind, Reply};
use crate::step::{CutKind, Step};

type OnHead = dyn Fn(&RecordedRequest) -> Option<Reply> + Send + Sync;
type OnBody = dyn Fn(&RecordedRequest) -> Reply + Send + Sync;

/// Chooses the answer to each request. Handlers run on the mock's own thread: one that blocks
/// stops the mock, so let a [`Gate`] in the answer do the waiting.
#[derive(Clone)]
pub struct Script {
    on_head: Option<Arc<OnHead>>,
    on_body: Arc<OnBody>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    /// Calls `handler` when the whole body of a request is in.
    #[must_use]
    pub fn handler(handler: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            on_head: None,
            on_body: Arc::new(handler),
        }
    }

    /// Calls `handler` when the head of a request is in; `Some` is sent right away.
    #[must_use]
    pub fn on_head(
        mut self,
        handler: impl Fn(&RecordedRequest) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        self.on_head = Some(Arc::new(handler));
        self
    }

    /// The answer to a request whose head is in, if it is to be answered now.
    pub(crate) fn early(&self, request: &RecordedRequest) -> Option<Reply> {
        self.on_head
            .as_ref()
            .and_then(|handler| handler(request))
            .map(|r| r.resolve(request))
    }

    /// The answer to a request that is in.
    pub(crate) fn answer(&self, request: &RecordedRequest) -> Reply {
        (self.on_body)(request).resolve(request)
    }
}

impl From<Reply> for Script {
    /// The same answer for every request.
    fn from(reply: Reply) -> Self {
        Self::from(vec![reply])
    }
}

impl From<Vec<Reply>> for Script {
    /// One answer for each request in turn; the last one repeats.
    ///
    /// # Panics
    /// Without any answer.
    fn from(replies: Vec<Reply>) -> Self {
        assert!(!replies.is_empty(), "a script without any reply");
        let replies = Arc::new(replies);
        let again = Arc::clone(&replies);
        let pick = |replies: &[Reply], index: usize| replies[index.min(replies.len() - 1)].clone();
        Self::handler(move |request| pick(&replies, request.index)).on_head(move |request| {
            let reply = pick(&again, request.index);
            reply.early.then_some(reply)
        })
    }
}

/// One thing to do for the body of an answer.
pub(crate) enum Piece {
    /// Bytes to write; a chunk of `announced` bytes that may stay unfinished.
    Data {
        bytes: Bytes,
        announced: usize,
    },
    Fresh(Arc<dyn Fn() -> Bytes + Send + Sync>),
    Pace(Duration),
    Hold(Gate),
    Cut(CutKind),
    Interim(u16, Vec<(String, String)>),
    Trailers(Vec<(String, String)>),
    GoAway,
}

impl Reply {
    /// Makes an answer that depends on the request.
    fn resolve(mut self, request: &RecordedRequest) -> Self {
        let Kind::Made(make) = &self.kind else {
            return self;
        };
        let mut made = make(request);
        made.reason = self.reason.or(made.reason);
        made.headers.append(&mut self.headers);
        made.before_head.append(&mut self.before_head);
        made.steps.append(&mut self.steps);
        made.chunk_size = self.chunk_size.or(made.chunk_size);
        made.cut_after = self.cut_after.or(made.cut_after);
        made.resolve(request)
    }

    /// The length of all data, cut or not.
    pub(crate) fn content_length(&self) -> usize {
        self.steps
            .iter()
            .map(|step| {
                if let Step::Data(bytes) = step {
                    bytes.len()
                } else {
                    0
                }
            })
            .sum()
    }

    /// What to do before the head.
    pub(crate) fn pieces_before_head(&self) -> Vec<Piece> {
        self.before_head.iter().cloned().map(Piece::from).collect()
    }

    /// What to do after the head, data split as asked and ended where it is to be cut.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut sent: u64 = 0;
        for step in &self.steps {
            let Step::Data(data) = step else {
                pieces.push(Piece::from(step.clone()));
                continue;
            };
            for start in (0..data.len()).step_by(self.chunk_size.unwrap_or(usize::MAX)) {
                let end = data
                    .len()
                    .min(start.saturating_add(self.chunk_size.unwrap_or(usize::MAX)));
                let whole = data.slice(start..end);
                let announced = whole.len();
                let room = match self.cut_after {
                    Some((n, _)) => usize::try_from(n - sent).unwrap_or(usize::MAX),
                    None => usize::MAX,
                };
                let bytes = whole.slice(..announced.min(room));
                sent += bytes.len() as u64;
                if !bytes.is_empty() {
                    pieces.push(Piece::Data { bytes, announced });
                }
                if let Some((n, kind)) = self.cut_after
                    && sent == n
                {
                    pieces.push(Piece::Cut(kind));
                    return pieces;
                }
            }
        }
        if let Some((n, kind)) = self.cut_after {
            assert!(
                n == sent,
                "cut_after({n}) but the script has only {sent} body bytes"
            );
            pieces.push(Piece::Cut(kind));
        }
        pieces
    }
}

impl From<Step> for Piece {
    fn from(step: Step) -> Self {
        match step {
            Step::Data(bytes) => Self::Data {
                announced: bytes.len(),
                bytes,
            },
            Step::Fresh(make) => Self::Fresh(make),
            Step::Pace(time) => Self::Pace(time),
            Step::Hold(gate) => Self::Hold(gate),
            Step::Cut(kind) => Self::Cut(kind),
            Step::Interim(status, headers) => Self::Interim(status, headers),
            Step::Trailers(fields) => Self::Trailers(fields),
            Step::GoAway => Self::GoAway,
        }
    }
}

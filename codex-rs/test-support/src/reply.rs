//! A scripted answer: what the mock upstream sends, step by step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::recorded::RecordedRequest;
use crate::responses::{self, Event};
use crate::step::{CutKind, Framing, Step};

/// What kind of answer a [`Reply`] is.
#[derive(Clone)]
pub(crate) enum Kind {
    /// A head and steps.
    Answer,
    /// Nothing, ever.
    Silence,
    /// Exact bytes on the wire.
    Raw { bytes: Bytes, then_close: bool },
    /// An end before any byte.
    CloseBeforeHead(CutKind),
    /// Depends on the request.
    Made(Arc<dyn Fn(&RecordedRequest) -> Reply + Send + Sync>),
}

/// A scripted answer, built up by chaining. Clones share their gates.
#[derive(Clone)]
pub struct Reply {
    pub(crate) kind: Kind,
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) framing: Framing,
    pub(crate) before_head: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    pub(crate) early: bool,
    pub(crate) chunk_size: Option<usize>,
    pub(crate) cut_after: Option<(u64, CutKind)>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Reply({} {:?} {:?})",
            self.status, self.framing, self.steps
        )
    }
}

/// Where answers come from.
impl Reply {
    /// An answer with a status and an empty body of Content-Length 0.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            kind: Kind::Answer,
            status,
            reason: None,
            headers: Vec::new(),
            framing: Framing::ContentLength,
            before_head: Vec::new(),
            steps: Vec::new(),
            early: false,
            chunk_size: None,
            cut_after: None,
        }
    }

    /// A JSON body with a Content-Length.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string())
    }

    /// A body in one piece with a Content-Length.
    #[must_use]
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status)
            .header("content-type", content_type)
            .data(body)
    }

    /// A chunked event stream, one chunk an event.
    #[must_use]
    pub fn sse(events: &[Event]) -> Self {
        events.iter().fold(Self::event_stream(), |reply, event| {
            reply.data(event.to_bytes())
        })
    }

    /// A chunked `text/event-stream` without any event yet; add them with [`Reply::data`].
    #[must_use]
    pub fn event_stream() -> Self {
        Self::new(200)
            .header("content-type", "text/event-stream; charset=utf-8")
            .framing(Framing::Chunked)
    }

    /// An empty redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status).header("location", location)
    }

    /// Never answers and never closes.
    #[must_use]
    pub fn silence() -> Self {
        Self::of(Kind::Silence)
    }

    /// Exactly these bytes on the wire; over HTTP/2 they break the framing.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>, then_close: bool) -> Self {
        Self::of(Kind::Raw {
            bytes: bytes.into(),
            then_close,
        })
    }

    /// Closes in order instead of answering.
    #[must_use]
    pub fn close_before_head() -> Self {
        Self::cut_before_head(CutKind::Fin)
    }

    /// Ends the connection or stream instead of answering.
    #[must_use]
    pub fn cut_before_head(kind: CutKind) -> Self {
        Self::of(Kind::CloseBeforeHead(kind))
    }

    /// A JSON account of the request: method, target, headers (`[name, value]` pairs), body_len.
    #[must_use]
    pub fn echo() -> Self {
        Self::made(|request| {
            let headers: Vec<Value> = request
                .headers
                .iter()
                .map(|(name, value)| json!([name, String::from_utf8_lossy(value)]))
                .collect();
            Self::json(
                200,
                &json!({
                    "method": request.method,
                    "target": request.target,
                    "headers": headers,
                    "body_len": request.body_len,
                }),
            )
        })
    }

    /// Answers as the Responses API would: an event stream when the request asks for one, else
    /// one JSON object.
    #[must_use]
    pub fn responses(text: &str) -> Self {
        let text = text.to_owned();
        Self::made(move |request| {
            if responses::wants_stream(&request.body) {
                Self::sse(&responses::text_events(&text))
            } else {
                Self::json(200, &responses::response_json(&text))
            }
        })
    }

    /// An answer that depends on the request. What is chained onto it is added to what it makes.
    #[must_use]
    pub fn made(make: impl Fn(&RecordedRequest) -> Self + Send + Sync + 'static) -> Self {
        Self::of(Kind::Made(Arc::new(make)))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::new(200)
        }
    }
}

/// How answers are refined.
impl Reply {
    /// Adds a header; its value goes out as it is. A Content-Length or Transfer-Encoding given
    /// here replaces the one the framing would write.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the framing.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Sets the reason phrase of HTTP/1.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Adds body bytes, written and flushed in one piece.
    #[must_use]
    pub fn data(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Data(bytes.into()))
    }

    /// Waits at the gate, within the body.
    #[must_use]
    pub fn hold(self, gate: &Gate) -> Self {
        self.step(Step::Hold(gate.clone()))
    }

    /// Lets time pass, within the body.
    #[must_use]
    pub fn pace(self, time: Duration) -> Self {
        self.step(Step::Pace(time))
    }

    /// Ends here, unfinished.
    #[must_use]
    pub fn cut(self, kind: CutKind) -> Self {
        self.step(Step::Cut(kind))
    }

    /// Ends a chunked or HTTP/2 body with trailer fields.
    #[must_use]
    pub fn trailers(self, fields: &[(&str, &str)]) -> Self {
        self.step(Step::Trailers(owned(fields)))
    }

    /// Adds any step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds steps.
    #[must_use]
    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// Sends an interim answer (such as 103) before the head.
    #[must_use]
    pub fn interim(self, status: u16, headers: &[(&str, &str)]) -> Self {
        self.before_head(Step::Interim(status, owned(headers)))
    }

    /// Waits at the gate before the head.
    #[must_use]
    pub fn hold_head(self, gate: &Gate) -> Self {
        self.before_head(Step::Hold(gate.clone()))
    }

    /// Adds a step that comes before the head.
    #[must_use]
    pub fn before_head(mut self, step: Step) -> Self {
        self.before_head.push(step);
        self
    }

    /// Answers as soon as the head of the request is in, while its body is still read.
    #[must_use]
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Splits all data into pieces of at most `n` bytes.
    #[must_use]
    pub fn chunk_size(mut self, n: usize) -> Self {
        self.chunk_size = Some(n.max(1));
        self
    }

    /// Cuts after exactly `n` body bytes were written and flushed. Inside a chunk the chunk
    /// stays unfinished; at its end its CRLF is written. At the full length a Content-Length
    /// body is complete, a chunked one still lacks its last chunk.
    #[must_use]
    pub fn cut_after(mut self, n: u64, kind: CutKind) -> Self {
        self.cut_after = Some((n, kind));
        self
    }
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

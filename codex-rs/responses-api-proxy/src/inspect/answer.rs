//! The meter: reads model, tier, response id and tokens out of an answer while it passes by. Pure.
//!
//! An answer is a stream of events or one JSON document. Of a stream, the data of most events is skipped by looking for
//! ends of lines: the `event` line has said what it is. Only what says something is parsed, piece by piece
//! ([`super::json`]), and nothing of it is kept but what [`AnswerFacts`] has.

mod deltas;
pub(crate) mod facts;
mod form;
mod response;
mod whole;

#[cfg(test)]
mod tests;

use memchr::memchr;

use self::deltas::Deltas;
use self::facts::{AnswerFacts, FinalEvent};
pub(crate) use self::form::AnswerForm;
use self::response::{EventKind, MalformedUsage, Place, Response};
use super::json::{Ended, JsonReader, Progress};
use super::sse::{EventSink, EventStream, MAX_NAME};

/// Meters one answer. Some hundred bytes, and two kilobytes more while a document is parsed.
pub(crate) struct AnswerMeter {
    form: AnswerForm,
    stream: EventStream,
    answer: Answer,
}

/// What an answer has said so far, and the event under way.
#[derive(Default)]
struct Answer {
    facts: AnswerFacts,
    /// By the last `event` line.
    named: Option<EventKind>,
    /// What the event under way is, as soon as it is known.
    kind: Option<EventKind>,
    /// What of its data is parsed; or the one document that the answer is.
    document: Option<Box<Document>>,
    /// Nothing of the event's data has arrived.
    is_at_start: bool,
    deltas: Deltas,
}

struct Document {
    json: JsonReader<Place>,
    response: Response,
}

impl AnswerMeter {
    pub(crate) fn new(form: AnswerForm) -> Self {
        Self {
            form,
            stream: EventStream::new(),
            answer: Answer::default(),
        }
    }

    /// Has [`output_bytes`](Self::output_bytes) counted too, which takes some 10 ns for each delta that is looked at.
    pub(crate) fn counting_output(mut self) -> Self {
        self.answer.deltas.count_text();
        self
    }

    /// The next bytes of the body.
    #[inline]
    pub(crate) fn push(&mut self, piece: &[u8]) {
        match self.form {
            AnswerForm::EventStream => self.stream.push(piece, &mut self.answer),
            AnswerForm::Json if !piece.is_empty() => {
                let document = self.answer.document.get_or_insert_with(|| {
                    Box::new(Document::new(Place::Response, Response::default()))
                });
                document.push(piece);
            }
            AnswerForm::Encoded => self.answer.facts.usage_unreadable |= !piece.is_empty(),
            AnswerForm::Json | AnswerForm::Opaque => {}
        }
    }

    /// Whether output has begun: an event whose name ends in `.delta` has arrived. Always false for a JSON document.
    pub(crate) fn has_output(&self) -> bool {
        self.answer.deltas.events() > 0
    }

    /// How many events have arrived whose name ends in `.delta`: about one a token of output.
    pub(crate) fn deltas(&self) -> u64 {
        self.answer.deltas.events()
    }

    /// The text in the events that [`deltas`](Self::deltas) counts, in bytes: of each the member `delta`, as it is
    /// written. That is longer than the text where it has escapes, and of a long answer not every event is looked at,
    /// so this is for estimates. 0 unless it is [asked for](Self::counting_output).
    pub(crate) fn output_bytes(&self) -> u64 {
        self.answer.deltas.bytes()
    }

    /// What the answer says of itself, once its final event has passed. Of a JSON document only at its end, by
    /// [`finish`](Self::finish).
    pub(crate) fn final_facts(&self) -> Option<&AnswerFacts> {
        Some(&self.answer.facts).filter(|facts| facts.end.is_some())
    }

    /// The answer ends here, or is cut here.
    pub(crate) fn finish(mut self) -> AnswerFacts {
        self.answer.facts.is_cut_document = match self.form {
            AnswerForm::Json => self.answer.end_of_document() != Some(Ended::Whole),
            AnswerForm::Encoded => true,
            AnswerForm::EventStream | AnswerForm::Opaque => false,
        };
        self.answer.facts.deltas = self.answer.deltas.events();
        self.answer.facts
    }
}

impl Document {
    fn new(root: Place, response: Response) -> Self {
        Self {
            json: JsonReader::new(root),
            response,
        }
    }

    fn push(&mut self, piece: &[u8]) -> Progress {
        self.json.push(piece, &mut self.response)
    }
}

/// The kind of an event is taken from its `event` line if that comes before the data, or else from the first member
/// `type` of the data, or else from an `event` line after the data. The API sends both, the line first, and they agree.
/// If they differ, clients go by `type` and the meter by the line: with it the data of nearly all events need not be
/// parsed, and an upstream that lies about one could as well lie about the usage.
impl EventSink for Answer {
    #[inline]
    fn name(&mut self, name: Option<&[u8]>) {
        self.named = match name {
            Some(b"") => None,
            Some(name) => Some(EventKind::of(name)),
            None => Some(EventKind::Other),
        };
    }

    #[inline]
    fn begin(&mut self) {
        self.deltas.begin();
        self.is_at_start = true;
        self.kind = self.named;
        match self.kind {
            Some(kind) if self.is_wanted(kind) => self.parse_event(),
            _ => {}
        }
    }

    #[inline]
    fn data(&mut self, piece: &[u8]) {
        if self.kind.is_none() && self.is_at_start {
            self.is_at_start = false;
            self.kind = type_at_start(piece);
            if self.kind.is_none_or(|kind| self.is_wanted(kind)) {
                self.parse_event();
            }
        }
        if matches!(self.kind, None | Some(EventKind::Delta)) {
            self.deltas.data(piece);
        }
        if self.document.is_some() {
            self.parse_data(piece);
        }
    }

    #[inline]
    fn dispatch(&mut self) {
        match self.kind {
            Some(EventKind::Delta) => self.deltas.end(),
            Some(EventKind::Other) => {}
            _ => self.end_of_event(),
        }
        self.named = None;
        self.kind = None;
    }

    fn ignore(&mut self) {
        self.named = None;
    }

    fn whole(&mut self, name: &[u8], data: &[u8]) {
        if let EventKind::Final(end) = EventKind::of(name)
            && self.facts.end.is_none()
            && let Some(response) = whole::read(data)
        {
            self.named = None;
            self.facts.take_final(end, response, Ended::Whole);
        } else {
            self.in_parts(name, data);
        }
    }

    #[inline]
    fn text_delta(&mut self, data: &[u8]) {
        self.named = None;
        self.deltas.whole(data);
    }
}

impl Answer {
    /// Whether the data of such an event would add anything.
    fn is_wanted(&self, kind: EventKind) -> bool {
        let facts = &self.facts;
        match kind {
            EventKind::Final(_) => facts.end.is_none(),
            EventKind::Started => facts.response_id.is_none() || facts.model.is_none(),
            EventKind::Error => facts.error_type.is_none(),
            EventKind::Delta | EventKind::Other => false,
        }
    }

    fn parse_event(&mut self) {
        let response = Response::of_kind(self.kind);
        self.document = Some(Box::new(Document::new(Place::Event, response)));
    }

    fn parse_data(&mut self, piece: &[u8]) {
        let Some(document) = &mut self.document else {
            return;
        };
        document.push(piece);
        if self.kind.is_none() {
            self.kind = document.response.kind;
            if self.kind.is_some_and(|kind| !self.is_wanted(kind)) {
                self.document = None;
            }
        }
    }

    /// An event is whole that is of interest, or whose kind its data did not say.
    #[cold]
    fn end_of_event(&mut self) {
        let mut document = self.document.take();
        let ended = match document.as_deref_mut() {
            Some(Document { json, response }) => match json.finish(response) {
                // The event is whole, and so should its data be.
                Ended::Early => Ended::Unreadable,
                ended => ended,
            },
            // There was not a byte of data.
            None => Ended::Unreadable,
        };
        let mut response = match document {
            Some(document) => document.response,
            None => Response::default(),
        };
        let kind = self.kind.or(response.kind).or(self.named);
        let facts = &mut self.facts;
        match kind {
            Some(EventKind::Started) => {
                facts.response_id = facts.response_id.take().or(response.id);
                facts.model = facts.model.take().or(response.model);
            }
            Some(EventKind::Final(_)) if facts.end.is_some() => facts.second_final = true,
            Some(EventKind::Final(end)) => facts.take_final(end, response, ended),
            Some(EventKind::Error) => {
                let error = response.take_error(None);
                facts.error_type = facts.error_type.take().or(error);
            }
            Some(EventKind::Delta) => self.deltas.end(),
            Some(EventKind::Other) | None => {}
        }
    }

    /// How it ended; `None` if nothing of it has come.
    fn end_of_document(&mut self) -> Option<Ended> {
        let document = self.document.take()?;
        let Document {
            mut json,
            mut response,
        } = *document;
        let ended = json.finish(&mut response);
        if ended == Ended::Whole {
            self.facts.end = response.status;
            self.facts.error_type = response.take_error(response.status);
        }
        self.facts.take_response(response, ended);
        Some(ended)
    }
}

impl AnswerFacts {
    /// The first final event, of which this was read.
    fn take_final(&mut self, end: FinalEvent, mut response: Response, ended: Ended) {
        self.end = Some(end);
        self.error_type = response.take_error(self.end).or(self.error_type.take());
        self.take_response(response, ended);
    }

    /// Its id and model even if it is not valid to its end; the rest only if all of it is.
    fn take_response(&mut self, response: Response, ended: Ended) {
        match ended {
            Ended::Whole => {
                match response.usage() {
                    Ok(usage) => self.usage = usage,
                    Err(MalformedUsage) => self.usage_unreadable = true,
                }
                self.service_tier = response.service_tier;
            }
            // It was cut, which is not to say that it is unreadable.
            Ended::Early | Ended::Stopped => {}
            Ended::Unreadable => self.usage_unreadable = true,
        }
        self.response_id = response.id.or(self.response_id.take());
        self.model = response.model.or(self.model.take());
    }
}

/// The kind of an event whose data begins with its `type`, as the API writes it: parsing would come to the same.
#[inline]
fn type_at_start(data: &[u8]) -> Option<EventKind> {
    // Nearly all events of an answer are of this kind.
    if data.starts_with(b"{\"type\":\"response.output_text.delta\"") {
        return Some(EventKind::Delta);
    }
    let rest = data.strip_prefix(b"{\"type\":\"")?;
    let rest = rest.get(..=MAX_NAME).unwrap_or(rest);
    let name = rest.get(..memchr(b'"', rest)?)?;
    let is_plain = |&byte: &u8| byte.is_ascii_graphic() && byte != b'\\';
    name.iter().all(is_plain).then(|| EventKind::of(name))
}

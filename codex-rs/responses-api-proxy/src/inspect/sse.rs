//! Divides a stream of server-sent events into events, as the HTML standard does (section 9.2.6, "Interpreting an event
//! stream"), without keeping their data. Pure.

#[cfg(test)]
mod tests;

use memchr::memchr2;

/// The longest name of an event, in bytes, that can be of interest.
pub(crate) const MAX_NAME: usize = 64;

/// How long the data of a short event is at most, in bytes: what is worth being read in one go.
const MAX_SHORT: usize = 2 * 1024;

/// Is given events piece by piece.
pub(crate) trait EventSink {
    /// The value of an `event` line; `None` if it is longer than [`MAX_NAME`]. An empty one takes back the one before.
    fn name(&mut self, name: Option<&[u8]>);

    /// The first `data` line of an event begins.
    fn begin(&mut self);

    /// The next bytes of the event's data. Its lines are joined by LF, as the standard has it.
    fn data(&mut self, piece: &[u8]);

    /// The event is whole.
    fn dispatch(&mut self);

    /// An event without data ends, which the standard ignores.
    fn ignore(&mut self);

    /// A whole event of the kind that nearly all of an answer consists of: `response.output_text.delta`.
    fn text_delta(&mut self, data: &[u8]) {
        self.in_parts(TEXT_DELTA_NAME, data);
    }

    /// A whole short event with a name of at most [`MAX_NAME`] bytes.
    fn whole(&mut self, name: &[u8], data: &[u8]) {
        self.in_parts(name, data);
    }

    /// A whole event in the parts that it consists of.
    fn in_parts(&mut self, name: &[u8], data: &[u8]) {
        self.name(Some(name));
        self.begin();
        self.data(data);
        self.dispatch();
    }
}

/// The place in a stream of events.
#[derive(Debug)]
pub(crate) struct EventStream {
    at: At,
    /// The event under way has data.
    has_data: bool,
    /// The beginning of a field's name or of an event's name.
    held: Held,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A byte order mark, of which so many bytes were there.
    Bom(usize),
    LineStart,
    /// The same behind a CR: an LF is a part of that end of a line.
    AfterCr,
    /// The name of a field, whose beginning is held.
    Name,
    /// The space behind the colon, or already the value.
    Space(Field),
    Value(Field),
}

/// The fields that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Event,
    Data,
    /// `id`, `retry`, whatever else there is, and comments, whose field has no name.
    Other,
}

impl At {
    /// Behind an end of a line, of which this is the first byte.
    fn after(line_end: u8) -> Self {
        if line_end == b'\r' {
            Self::AfterCr
        } else {
            Self::LineStart
        }
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

const TEXT_DELTA_NAME: &[u8] = b"response.output_text.delta";

/// How such an event begins, up to its data.
const TEXT_DELTA: &[u8; 40] = b"event: response.output_text.delta\ndata: ";

impl EventStream {
    pub(crate) fn new() -> Self {
        Self {
            at: At::Bom(0),
            has_data: false,
            held: Held::new(),
        }
    }

    /// Reads on. An event that is not ended by an empty line is not given to the sink as whole.
    #[inline]
    pub(crate) fn push<S: EventSink>(&mut self, mut bytes: &[u8], sink: &mut S) {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = match self.at {
                At::LineStart => match text_delta(bytes) {
                    Some((data, rest)) if !self.has_data => {
                        sink.text_delta(data);
                        rest
                    }
                    _ => self.other_line(bytes, first, rest, sink),
                },
                At::Value(field) => self.value(field, bytes, sink),
                At::AfterCr => {
                    self.at = At::LineStart;
                    if first == b'\n' { rest } else { bytes }
                }
                At::Space(field) => {
                    self.at = At::Value(field);
                    if first == b' ' { rest } else { bytes }
                }
                At::Name => self.field_name(bytes, sink),
                At::Bom(seen) => self.byte_order_mark(seen, bytes, first, rest),
            };
        }
    }

    fn other_line<'a, S: EventSink>(
        &mut self,
        bytes: &'a [u8],
        first: u8,
        rest: &'a [u8],
        sink: &mut S,
    ) -> &'a [u8] {
        match short_event(bytes) {
            Some((name, data, rest)) if !self.has_data => {
                sink.whole(name, data);
                rest
            }
            _ => self.line_start(bytes, first, rest, sink),
        }
    }

    #[inline]
    fn line_start<'a, S: EventSink>(
        &mut self,
        bytes: &'a [u8],
        first: u8,
        rest: &'a [u8],
        sink: &mut S,
    ) -> &'a [u8] {
        if let b'\n' | b'\r' = first {
            if std::mem::take(&mut self.has_data) {
                sink.dispatch();
            } else {
                sink.ignore();
            }
            self.at = At::after(first);
            return rest;
        }
        // As nearly every line begins.
        let (field, value) = if let Some(value) = bytes.strip_prefix(b"data: ") {
            (Field::Data, value)
        } else if let Some(value) = bytes.strip_prefix(b"event: ") {
            (Field::Event, value)
        } else {
            self.held.clear();
            self.at = At::Name;
            return bytes;
        };
        self.begin(field, sink);
        self.at = At::Value(field);
        value
    }

    fn byte_order_mark<'a>(
        &mut self,
        seen: usize,
        bytes: &'a [u8],
        first: u8,
        rest: &'a [u8],
    ) -> &'a [u8] {
        if BOM.get(seen) != Some(&first) {
            // A part of one begins the name of a field that nobody knows.
            self.at = if seen == 0 {
                At::LineStart
            } else {
                At::Value(Field::Other)
            };
            return bytes;
        }
        self.at = if seen + 1 == BOM.len() {
            At::LineStart
        } else {
            At::Bom(seen + 1)
        };
        rest
    }

    fn field_name<'a, S: EventSink>(&mut self, bytes: &'a [u8], sink: &mut S) -> &'a [u8] {
        let is_end = |byte: &u8| matches!(byte, b':' | b'\n' | b'\r');
        let Some(end) = bytes.iter().position(is_end) else {
            self.held.extend(bytes);
            return &[];
        };
        let (name, rest) = bytes.split_at(end);
        self.held.extend(name);
        let field = match self.held.get() {
            Some(b"data") => Field::Data,
            Some(b"event") => Field::Event,
            _ => Field::Other,
        };
        self.begin(field, sink);
        match rest.split_first() {
            Some((b':', value)) => {
                self.at = At::Space(field);
                value
            }
            // The value of a field without a colon is empty.
            _ => {
                self.at = At::Value(field);
                rest
            }
        }
    }

    #[inline]
    fn begin<S: EventSink>(&mut self, field: Field, sink: &mut S) {
        match field {
            Field::Data if self.has_data => sink.data(b"\n"),
            Field::Data => {
                self.has_data = true;
                sink.begin();
            }
            Field::Event => self.held.clear(),
            Field::Other => {}
        }
    }

    #[inline]
    fn value<'a, S: EventSink>(&mut self, field: Field, bytes: &'a [u8], sink: &mut S) -> &'a [u8] {
        let end = memchr2(b'\n', b'\r', bytes);
        let (value, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        match (field, end) {
            (Field::Data, _) => sink.data(value),
            (Field::Event, None) => self.held.extend(value),
            (Field::Event, Some(_)) if self.held.is_empty() => {
                sink.name((value.len() <= MAX_NAME).then_some(value));
            }
            (Field::Event, Some(_)) => {
                self.held.extend(value);
                sink.name(self.held.get());
            }
            (Field::Other, _) => {}
        }
        let Some((&line_end, rest)) = rest.split_first() else {
            return &[];
        };
        self.at = At::after(line_end);
        rest
    }
}

/// The data of an event of this kind, if all of it is here, in one line, and the rest.
#[inline]
fn text_delta(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (begin, rest) = bytes.split_first_chunk()?;
    if !begins_text_delta(begin) {
        return None;
    }
    let (data, rest) = rest.split_at_checked(memchr2(b'\n', b'\r', rest)?)?;
    Some((data, rest.strip_prefix(b"\n\n")?))
}

/// The name and the data of an event that is short, if all of it is here, in two lines, and the rest.
fn short_event(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = bytes.strip_prefix(b"event: ")?;
    let (name, rest) = line(rest, MAX_NAME)?;
    let (data, rest) = line(rest.strip_prefix(b"data: ")?, MAX_SHORT)?;
    let rest = rest.strip_prefix(b"\n")?;
    (!name.is_empty()).then_some((name, data, rest))
}

/// A line of at most `most` bytes that ends in LF, and the rest.
fn line(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let beginning = bytes.get(..=most).unwrap_or(bytes);
    let (line, rest) = bytes.split_at_checked(memchr2(b'\n', b'\r', beginning)?)?;
    Some((line, rest.strip_prefix(b"\n")?))
}

/// In two parts, each of which is compared without a call.
#[inline]
fn begins_text_delta(begin: &[u8; TEXT_DELTA.len()]) -> bool {
    begin.first_chunk::<32>() == TEXT_DELTA.first_chunk()
        && begin.last_chunk::<8>() == TEXT_DELTA.last_chunk()
}

/// The beginning of something short that was cut.
#[derive(Debug)]
struct Held {
    bytes: [u8; MAX_NAME],
    /// Longer than there is room if it was too long.
    len: usize,
}

impl Held {
    fn new() -> Self {
        Self {
            bytes: [0; MAX_NAME],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn extend(&mut self, more: &[u8]) {
        let end = self.len.saturating_add(more.len());
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(more);
        }
        self.len = end;
    }

    /// `None` if it was too long.
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len)
    }
}

//! Reads chosen members of a JSON document that arrives in pieces, in bounded memory. Pure.
//!
//! `json-event-parser` reads it, which does no I/O and needs each token whole. It is given only a part:
//!
//! 1. Long strings are emptied, so no token is large. A text of megabytes, which is what large answers consist of, is
//!    skipped at the speed of memchr and never stored.
//! 2. Of objects and arrays that are not of interest it sees the brackets around them alone. Answers repeat the tools
//!    of their request, hundreds of tokens at some 40 ns each; to count brackets takes a tenth of that.
//!
//! What is left out is not checked, so a document with a fault in such a place is read as if it had none.

mod position;

#[cfg(test)]
pub(in crate::inspect) mod tests;

use std::ops::ControlFlow;

use json_event_parser::{JsonEvent, LowLevelJsonParser, LowLevelJsonParserResult};
use memchr::{memchr, memchr2};

use self::position::Position;

/// The longest string, in bytes as written (an escape counts as what it is written with), that is read as it is.
/// A longer one, a member's name too, is read as the empty string.
pub(crate) const MAX_STRING: usize = 256;

/// The longest number, in bytes as written; a document with a longer one is unreadable.
pub(crate) const MAX_NUMBER: usize = 64;

/// The most objects and arrays inside each other; a document with more of them is unreadable.
///
/// Twice that of requests: an answer repeats the tools of its request, some levels deeper.
pub(crate) const MAX_DEPTH: usize = 256;

/// What the parser has not read yet, in bytes. Any token fits: the longest is a string with its quotes.
const BUFFER: usize = 1024;

/// Says which members of a document are of interest, and is given their values.
pub(crate) trait Visitor {
    /// A value of interest in the kind of document that is read: the document itself, or a member of an object that
    /// has a place.
    type Place: Copy;

    /// The place of the member `name` of the object at `of`; `None` if it is not of interest, nor anything in it.
    fn member(&self, of: Self::Place, name: &str) -> Option<Self::Place>;

    /// The value at a place; an object or array when it begins. `Break` if nothing more is of interest.
    ///
    /// If a member is there twice, this is called twice.
    fn value(&mut self, at: Self::Place, value: Value<'_>) -> ControlFlow<()>;
}

/// The value of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Its escapes decoded. Empty if it was longer than [`MAX_STRING`].
    String(&'a str),
    /// As written.
    Number(&'a str),
    Boolean,
    Null,
    Object,
    Array,
}

/// How far a document has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More of it is wanted.
    Reading,
    /// The visitor wants no more of it.
    Stopped,
    /// It is not JSON, or is beyond a limit. What was read before the fault has been given to the visitor.
    Unreadable,
}

/// How a document ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All of it was read, and is valid.
    Whole,
    /// The visitor wanted no more of it.
    Stopped,
    /// There was nothing wrong with it so far.
    Early,
    /// As in [`Progress::Unreadable`].
    Unreadable,
}

/// Reads one document. What it needs beyond itself is one buffer of a kilobyte, and a byte for each level of depth.
pub(crate) struct JsonReader<P> {
    parser: LowLevelJsonParser,
    position: Position<P>,
    progress: Progress,
    within: Within,
    /// How many objects and arrays are open inside one that is not of interest, itself included; 0 outside of such.
    ignored: usize,
    /// What has arrived, with long strings emptied, and has not been read by the parser. Never grows.
    buffer: Vec<u8>,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Tokens,
    /// A string, of which the last `len` bytes of the buffer have arrived.
    String {
        len: usize,
        escaped: bool,
    },
    /// A string that is not read: it is too long, and its opening quote is the last byte of the buffer; or it is inside
    /// something that is ignored, and the buffer is empty.
    LongString {
        escaped: bool,
    },
}

impl<P: Copy> JsonReader<P> {
    /// `root` is the place of the document itself.
    pub(crate) fn new(root: P) -> Self {
        Self {
            // The parser allows one level more than it is told.
            parser: LowLevelJsonParser::new().with_max_stack_size(MAX_DEPTH - 1),
            position: Position::new(root),
            progress: Progress::Reading,
            within: Within::Tokens,
            ignored: 0,
            buffer: Vec::with_capacity(BUFFER),
        }
    }

    /// Reads on. After `Stopped` or `Unreadable` this does nothing, and costs nothing.
    pub(crate) fn push<V>(&mut self, mut bytes: &[u8], visitor: &mut V) -> Progress
    where
        V: Visitor<Place = P>,
    {
        while !bytes.is_empty() && self.progress == Progress::Reading {
            if self.buffer.len() >= BUFFER {
                self.parse(false, visitor);
                continue;
            }
            let taken = match self.within {
                _ if self.ignored > 0 => self.ignore(bytes),
                Within::Tokens => self.take_tokens(bytes),
                Within::String { len, escaped } => self.take_string(bytes, len, escaped),
                Within::LongString { escaped } => self.skip_string(bytes, escaped),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        self.parse(false, visitor);
        self.progress
    }

    /// The document ends here.
    pub(crate) fn finish<V>(&mut self, visitor: &mut V) -> Ended
    where
        V: Visitor<Place = P>,
    {
        match self.progress {
            Progress::Stopped => return Ended::Stopped,
            Progress::Unreadable => return Ended::Unreadable,
            Progress::Reading if self.within != Within::Tokens || self.ignored > 0 => {
                return Ended::Early;
            }
            Progress::Reading => {}
        }
        let is_whole = self.parse(true, visitor);
        match self.progress {
            Progress::Stopped => Ended::Stopped,
            _ if is_whole => Ended::Whole,
            // Whatever is wrong only now is that something is missing.
            _ => Ended::Early,
        }
    }

    /// Up to and including the next opening quote.
    fn take_tokens(&mut self, bytes: &[u8]) -> usize {
        let room = BUFFER - self.buffer.len();
        let mut part = bytes.get(..room).unwrap_or(bytes);
        if let Some(quote) = memchr(b'"', part) {
            part = part.get(..=quote).unwrap_or(part);
            self.within = Within::String {
                len: 0,
                escaped: false,
            };
        }
        self.buffer.extend_from_slice(part);
        part.len()
    }

    fn take_string(&mut self, bytes: &[u8], len: usize, mut escaped: bool) -> usize {
        // One more byte than may be read: the closing quote.
        let room = (BUFFER - self.buffer.len()).min(MAX_STRING + 1 - len);
        let part = bytes.get(..room).unwrap_or(bytes);
        let (taken, is_closed) = rest_of_string(part, &mut escaped);
        self.buffer
            .extend_from_slice(part.get(..taken).unwrap_or(part));
        let len = len + taken;
        self.within = if is_closed {
            Within::Tokens
        } else if len <= MAX_STRING {
            Within::String { len, escaped }
        } else {
            self.buffer.truncate(self.buffer.len() - len);
            Within::LongString { escaped }
        };
        taken
    }

    fn skip_string(&mut self, bytes: &[u8], mut escaped: bool) -> usize {
        let (taken, is_closed) = rest_of_string(bytes, &mut escaped);
        self.within = if is_closed {
            self.buffer.push(b'"');
            Within::Tokens
        } else {
            Within::LongString { escaped }
        };
        taken
    }

    /// Skips what is inside an object or array that is not of interest, up to the bracket that closes it.
    fn ignore(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if let Within::LongString { mut escaped } = self.within {
                let (taken, is_closed) = rest_of_string(rest, &mut escaped);
                at += taken;
                self.within = if is_closed {
                    Within::Tokens
                } else {
                    Within::LongString { escaped }
                };
                continue;
            }
            // As `{` is `[` with one more bit, so is `}` `]`.
            let found = rest
                .iter()
                .position(|&byte| byte == b'"' || matches!(byte | 0x20, b'{' | b'}'));
            let Some(found) = found else {
                return bytes.len();
            };
            match rest.get(found).map(|byte| byte | 0x20) {
                Some(b'{') => self.ignored += 1,
                Some(b'}') => {
                    self.ignored -= 1;
                    if self.ignored == 0 {
                        return at + found;
                    }
                }
                _ => self.within = Within::LongString { escaped: false },
            }
            if self.ignored + self.position.open.len() > MAX_DEPTH {
                self.progress = Progress::Unreadable;
                return bytes.len();
            }
            at += found + 1;
        }
        at
    }

    /// The same for what has arrived already and is in the buffer, from `from` on.
    fn ignore_buffered(&mut self, from: usize) -> usize {
        let end_of_buffer = std::mem::replace(&mut self.within, Within::Tokens);
        let buffer = std::mem::take(&mut self.buffer);
        let taken = self.ignore(buffer.get(from..).unwrap_or_default());
        self.buffer = buffer;
        self.within = match end_of_buffer {
            Within::String { escaped, .. } if self.ignored > 0 => Within::LongString { escaped },
            within => within,
        };
        taken
    }

    /// Has the parser read what is in the buffer; whether that was the end of the document.
    fn parse<V>(&mut self, is_ending: bool, visitor: &mut V) -> bool
    where
        V: Visitor<Place = P>,
    {
        if self.ignored > 0 {
            return false;
        }
        // Not the beginning of a string: it may yet be emptied, and would be looked at again with every piece of it.
        let end = match self.within {
            Within::Tokens => self.buffer.len(),
            Within::String { len, .. } => self.buffer.len() - len - 1,
            Within::LongString { .. } => self.buffer.len() - 1,
        };
        let mut read = 0;
        let mut is_whole = false;
        while self.progress == Progress::Reading && !is_whole {
            let unread = self.buffer.get(read..end).unwrap_or_default();
            if unread.is_empty() && !is_ending {
                break;
            }
            let LowLevelJsonParserResult {
                consumed_bytes,
                event,
            } = self.parser.parse_next(unread, is_ending);
            read += consumed_bytes;
            let was_ignored = self.position.is_ignored;
            match event {
                None => break,
                Some(Ok(JsonEvent::Eof)) => is_whole = true,
                Some(Ok(event)) => self.progress = self.position.follow(&event, visitor),
                Some(Err(_)) => self.progress = Progress::Unreadable,
            }
            if self.position.is_ignored && !was_ignored {
                self.ignored = 1;
                read += self.ignore_buffered(read);
                if self.ignored > 0 {
                    break;
                }
            }
        }
        self.buffer.drain(..read);
        if self.buffer.len() >= BUFFER {
            // A number or a word without an end.
            self.progress = Progress::Unreadable;
        }
        is_whole
    }
}

/// How many of the bytes belong to a string, its closing quote included, and whether that is among them.
pub(super) fn rest_of_string(bytes: &[u8], escaped: &mut bool) -> (usize, bool) {
    let mut at = usize::from(*escaped);
    *escaped = false;
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return (at + 1, true);
        }
        at += 2;
    }
    *escaped = at > bytes.len();
    (bytes.len(), false)
}

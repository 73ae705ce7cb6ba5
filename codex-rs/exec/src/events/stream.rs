//! Server-sent events out of the pieces of a body, in bounded memory.
//!
//! The parser is sse-core's: a state machine that takes a piece cut anywhere, replaces what is not
//! UTF-8 by U+FFFD, and holds at most one event. What it skips (comments, other fields) it does not
//! count, so this does.

use std::fmt;
use std::num::NonZeroUsize;

use bytes::{Buf, Bytes};
use sse_core::{SseDecoder, SseEvent};

/// The largest event, in bytes. `response.completed` repeats the whole answer, and images come in
/// base64; 16 MiB is far more than any model writes at once.
pub(crate) const MAX_EVENT: usize = 16 << 20;
/// The most bytes from one event to the next, comments included.
const MAX_BETWEEN: usize = MAX_EVENT + (64 << 10);
/// The most bytes of one answer. An event may carry a single character of text, so this is much
/// more than the text there can be; it is here for a server that never comes to an end.
const MAX_ANSWER: usize = 1 << 30;

/// Takes bytes in and gives the data of events out.
pub(crate) struct EventStream {
    decoder: SseDecoder,
    /// Arrived, not yet looked at.
    pending: Bytes,
    /// Bytes since the last event.
    since_event: usize,
    /// Bytes that may still come.
    left: usize,
}

/// A stream that is not read on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TooLarge {
    Event,
    Answer,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event => write!(
                f,
                "the server sent more than {} MiB without the end of an event",
                MAX_EVENT >> 20
            ),
            Self::Answer => write!(
                f,
                "the server sent more than {} MiB without the end of its answer",
                MAX_ANSWER >> 20
            ),
        }
    }
}

impl std::error::Error for TooLarge {}

impl EventStream {
    pub(crate) fn new() -> Self {
        Self::of_at_most(MAX_ANSWER)
    }

    fn of_at_most(left: usize) -> Self {
        let limit = NonZeroUsize::new(MAX_EVENT).unwrap_or(NonZeroUsize::MAX);
        Self {
            decoder: SseDecoder::with_limit(limit),
            pending: Bytes::new(),
            since_event: 0,
            left,
        }
    }

    /// Adds a piece of the body; [`EventStream::next`] has to have returned `None`.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.pending = piece;
    }

    /// The data of the next event that is complete, or `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], after which nothing more should be read.
    pub(crate) fn next(&mut self) -> Result<Option<String>, TooLarge> {
        loop {
            let before = self.pending.remaining();
            let found = self.decoder.next(&mut self.pending);
            let read = before - self.pending.remaining();
            self.since_event += read;
            self.left = self.left.checked_sub(read).ok_or(TooLarge::Answer)?;
            match found {
                Some(Ok(SseEvent::Message(message))) => {
                    self.since_event = 0;
                    return Ok(Some(message.data));
                }
                // We never reconnect: what was cut short is an error.
                Some(Ok(SseEvent::Retry(_))) => {}
                Some(Err(_)) => return Err(TooLarge::Event),
                None if self.since_event > MAX_BETWEEN => return Err(TooLarge::Event),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut stream = EventStream::new();
        let mut found = Vec::new();
        for piece in pieces {
            stream.push(Bytes::copy_from_slice(piece));
            while let Some(data) = stream.next().unwrap() {
                found.push(data);
            }
        }
        found
    }

    const STREAM: &str = "\u{feff}: hello\r\nevent: a\r\ndata: {\"x\":\"ü\"}\r\n\r\n\
        data: one\ndata:two\n\nid: 7\rdata: three\r\r: ping\n\nretry: 10\nnonsense\ndata\n\ndata: 4\n\n";
    const EXPECTED: [&str; 5] = ["{\"x\":\"ü\"}", "one\ntwo", "three", "", "4"];

    #[test]
    fn line_ends_comments_and_several_data_lines() {
        let found = events(&[STREAM.as_bytes()]);
        // Whether a lone `data` line makes an event is of no interest: its data is empty.
        let with_data: Vec<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|data| !data.is_empty())
            .collect();
        let expected: Vec<&str> = EXPECTED
            .into_iter()
            .filter(|data| !data.is_empty())
            .collect();
        assert_eq!(with_data, expected);
    }

    #[test]
    fn it_may_be_cut_at_every_byte() {
        let bytes = STREAM.as_bytes();
        let whole = events(&[bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(
                events(&[&bytes[..cut], &bytes[cut..]]),
                whole,
                "cut at {cut}"
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), whole);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced() {
        assert_eq!(
            events(&[b"data: a\xff\xc3", b"\x28b\n\n"]),
            ["a\u{fffd}\u{fffd}(b"]
        );
    }

    #[test]
    fn a_line_without_an_end_is_an_error() {
        for beginning in ["data: ", ": ", "", "event: "] {
            let mut stream = EventStream::new();
            stream.push(Bytes::copy_from_slice(beginning.as_bytes()));
            assert_eq!(stream.next(), Ok(None));
            let piece = Bytes::from(vec![b'x'; 1 << 20]);
            let refused = (0..32).any(|_| {
                stream.push(piece.clone());
                stream.next() == Err(TooLarge::Event)
            });
            assert!(refused, "{beginning:?} was read for ever");
        }
    }

    #[test]
    fn comments_for_ever_are_an_error_and_between_events_are_none() {
        let mut stream = EventStream::new();
        let comments = Bytes::from(": ping\n\n".repeat(1 << 17));
        for _ in 0..20 {
            for _ in 0..8 {
                stream.push(comments.clone());
                assert_eq!(stream.next(), Ok(None));
            }
            stream.push(Bytes::from_static(b"data: x\n\n"));
            assert_eq!(stream.next(), Ok(Some("x".to_owned())));
            assert_eq!(stream.next(), Ok(None));
        }
        let refused = (0..32).any(|_| {
            stream.push(comments.clone());
            stream.next() == Err(TooLarge::Event)
        });
        assert!(refused);
    }

    #[test]
    fn events_for_ever_are_an_error() {
        let mut stream = EventStream::of_at_most(100);
        let mut events = 0;
        let fault = loop {
            stream.push(Bytes::from_static(b"data: x\n\n"));
            match stream.next() {
                Ok(_) => events += 1,
                Err(fault) => break fault,
            }
        };
        assert_eq!((events, fault), (11, TooLarge::Answer));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = pieces.concat();
            prop_assert_eq!(events(&pieces), events(&[&whole]));
        }
    }
}

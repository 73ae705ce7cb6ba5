//! The bytes of answers, made once and written many times.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};

use crate::clock::now_ns;

/// The head of every streamed answer over HTTP/1.1.
pub(super) const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-type: text/event-stream\r\n\
    cache-control: no-cache\r\n\
    transfer-encoding: chunked\r\n\r\n";

/// The end of a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Up to this size an answer is kept whole, in bytes.
const LARGEST_WHOLE: u32 = 256 << 10;

const BEFORE: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"";
const AFTER: &str = "\"}\n\n";

/// The last event of an answer, before and after what fills it up: what a proxy has to read that wants to know what
/// was used.
const LAST_BEFORE: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\
    \"id\":\"resp_0123456789\",\"status\":\"completed\",\"model\":\"gpt-5\",\"service_tier\":\"default\",\
    \"output\":\"";
const LAST_AFTER: &str = "\",\"usage\":{\"input_tokens\":10000,\
    \"input_tokens_details\":{\"cached_tokens\":8000},\"output_tokens\":200,\
    \"output_tokens_details\":{\"reasoning_tokens\":64},\"total_tokens\":10200}}}\n\n";

/// What one kind of answer is written from.
#[derive(Clone)]
pub(super) struct Answer {
    /// One event, as HTTP/2 frames it.
    pub(super) event: Bytes,
    /// How many of them come before the last one, which takes the place of several where they are small, and is empty
    /// where there are too few.
    pub(super) before_last: u32,
    pub(super) last: Bytes,
    /// One event as a chunk.
    pub(super) chunk: Bytes,
    /// Head, chunks and end, unless that is too large.
    pub(super) whole: Option<Bytes>,
}

/// Answers by number and size of their events.
#[derive(Default)]
pub(super) struct Answers {
    made: Mutex<HashMap<(u32, u32), Answer>>,
}

impl Answers {
    pub(super) fn get(&self, events: u32, size: u32) -> Answer {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((events, size))
            .or_insert_with(|| Answer::new(events, size))
            .clone()
    }
}

impl Answer {
    fn new(events: u32, size: u32) -> Self {
        let event = filled(BEFORE, AFTER, size as usize);
        let shortest = LAST_BEFORE.len() + LAST_AFTER.len();
        let places = u32::try_from(shortest)
            .unwrap_or(u32::MAX)
            .div_ceil(size.max(1));
        // An answer that is too short for it has none.
        let (before_last, last) = match events.checked_sub(places) {
            Some(before) => {
                let length = size as usize * places as usize;
                (before, filled(LAST_BEFORE, LAST_AFTER, length))
            }
            None => (events, Bytes::new()),
        };
        let chunk = chunk(&event);
        let whole = (events.saturating_mul(size) <= LARGEST_WHOLE).then(|| {
            let mut whole = BytesMut::from(HEAD);
            for _ in 0..before_last {
                whole.put_slice(&chunk);
            }
            if !last.is_empty() {
                whole.put_slice(&self::chunk(&last));
            }
            whole.put_slice(LAST_CHUNK);
            whole.freeze()
        });
        Self {
            event,
            before_last,
            last,
            chunk,
            whole,
        }
    }
}

/// An event of `size` bytes, or of the fewest that are possible.
fn filled(before: &str, after: &str, size: usize) -> Bytes {
    let mut event = BytesMut::with_capacity(size);
    event.put_slice(before.as_bytes());
    event.put_bytes(b'x', size.saturating_sub(before.len() + after.len()));
    event.put_slice(after.as_bytes());
    event.freeze()
}

/// An event with a stamp, for whoever reads it to take the time from, and as long as the events that
/// carry a few words are.
pub(super) fn stamped(stamp: u64) -> Bytes {
    const SIZE: usize = 400;
    const COMMENT: &str = "\n: ";
    let mut event = BytesMut::with_capacity(SIZE);
    event.put_slice(format!("data: {stamp:020}{COMMENT}").as_bytes());
    event.put_bytes(b'x', SIZE - event.len() - 2);
    event.put_slice(b"\n\n");
    event.freeze()
}

/// An event stamped with the present.
pub(super) fn stamped_now() -> Bytes {
    stamped(now_ns())
}

/// Data as one HTTP/1.1 chunk.
pub(super) fn chunk(data: &[u8]) -> Bytes {
    let mut chunk = BytesMut::from(format!("{:x}\r\n", data.len()).as_bytes());
    chunk.put_slice(data);
    chunk.put_slice(b"\r\n");
    chunk.freeze()
}

//! What h2 sends: requests begin, callers read on, and servers are granted more.

use bytes::BytesMut;

use super::frame::{self, Head, Said};
use super::stream::Stream;
use super::{MOST_OF_CONNECTION, MOST_OF_STREAM, Windows};

impl Windows {
    /// Takes what h2 has sent, in its order.
    pub(in crate::upstream) fn follow(&mut self, sent: &[u8]) {
        let mut said = Vec::new();
        self.outgoing.follow(sent, &mut said);
        for said in said {
            match said {
                Said::Begun(id) => self.note_begun(id),
                Said::Read(id, bytes) => self.note_read(id, bytes),
                // h2 throws away what comes of it.
                Said::GivenUp(id) => self.forget(id),
                Said::Ping(payload) if self.is_over => {
                    Head::ack_of_ping().put(&mut self.ready, &payload);
                }
                Said::Ping(_) => {}
            }
        }
    }

    /// A request begins. The only one of all, or one that may be like one before it that was read fast, gets
    /// as much at once, which spares a round trip.
    fn note_begun(&mut self, id: u32) {
        // A second block of a request is its trailers.
        if id <= self.last_begun {
            return;
        }
        self.last_begun = id;
        let stream = Stream::new(self.budget.nothing());
        self.streams.insert(id, stream);
        let guess = match self.guess {
            0 if self.budget.is_whole() => MOST_OF_STREAM,
            guess if self.budget.is_ample() => guess,
            _ => 0,
        };
        self.grant(id, guess);
    }

    /// The caller of a stream has read on, and h2 has told the server that it may send so much more.
    fn note_read(&mut self, id: u32, bytes: usize) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.window = stream.window.saturating_add(bytes);
        stream.unread_frames = 0;
        let padding = std::mem::take(&mut stream.padding);
        let is_fast = stream.is_read_fast(bytes);
        stream.is_fast = is_fast.unwrap_or(stream.is_fast);
        let goes_on = stream.end.is_empty();
        if padding > 0 {
            self.update(0, padding);
            self.update(id, padding);
        }
        if is_fast == Some(true) && goes_on {
            // Its share of what is left.
            let has_nothing = |stream: &&Stream| stream.grant.bytes() == 0;
            let waiting = self.streams.values().filter(has_nothing).count().max(1);
            self.grant(id, self.left() / waiting);
        }
        self.release(id);
    }

    /// How much its streams may still be granted.
    pub(super) fn left(&self) -> usize {
        let granted = self.streams.values().map(|stream| stream.grant.bytes());
        MOST_OF_CONNECTION.saturating_sub(granted.sum())
    }

    /// Grants a stream so much, as far as there is as much.
    fn grant(&mut self, id: u32, wanted: usize) {
        let wanted = wanted.min(self.left());
        if let Some(stream) = self.streams.get_mut(&id) {
            let most = MOST_OF_STREAM.saturating_sub(stream.grant.bytes());
            let granted = stream.grant.grow(wanted.min(most));
            self.update(id, granted);
        }
    }

    /// Tells the server that it may send so much more of a stream, or with 0 on the connection.
    pub(super) fn update(&mut self, stream: u32, bytes: usize) {
        // What a window has lost at most is far less than what fits.
        if let Ok(bytes @ 1..) = u32::try_from(bytes) {
            Head::of(frame::WINDOW_UPDATE, stream, 4).put(&mut self.updates, &bytes.to_be_bytes());
        }
    }

    /// What is to be sent before anything else of h2's; nothing within a frame or a header block.
    pub(in crate::upstream) fn updates(&mut self) -> Option<&mut BytesMut> {
        (self.outgoing.is_between() && !self.updates.is_empty()).then_some(&mut self.updates)
    }
}

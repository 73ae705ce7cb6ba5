//! Frames of one stream that wait, in about as much memory as they are long.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use super::frame::{CONTINUATION, END_HEADERS, FRAME_HEAD, HEADERS, Head};

/// Frames are kept together in pieces of this size, in bytes: small ones would take room of their own besides.
const PIECE: usize = 32 * 1024;

/// Whole frames in their order, and the beginning of one more.
#[derive(Default)]
pub(super) struct Held {
    /// None is empty, and no frame lies in two of them.
    pieces: VecDeque<BytesMut>,
    length: usize,
    /// The last header block goes on.
    is_in_block: bool,
}

impl Held {
    /// How much waits, in bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A frame begins, the last one being whole.
    pub(super) fn begin(&mut self, head: Head) {
        let room = FRAME_HEAD + head.length;
        let has_room = |piece: &BytesMut| piece.capacity() - piece.len() >= room;
        if !self.pieces.back().is_some_and(has_room) {
            // The first of a stream is often the only one.
            let size = if self.pieces.is_empty() {
                room
            } else {
                room.max(PIECE)
            };
            self.pieces.push_back(BytesMut::with_capacity(size));
        }
        if matches!(head.kind, HEADERS | CONTINUATION) {
            self.is_in_block = head.flags & END_HEADERS == 0;
        }
    }

    /// More of the frame that began; false if none did.
    pub(super) fn put(&mut self, part: &[u8]) -> bool {
        let Some(piece) = self.pieces.back_mut() else {
            return false;
        };
        piece.extend_from_slice(part);
        self.length += part.len();
        true
    }

    /// The head of the first frame, if that is whole, and so is the header block that it may begin.
    pub(super) fn first(&self) -> Option<Head> {
        let head = Head::of_whole(self.pieces.front()?)?;
        (head.kind != HEADERS || !self.is_in_block).then_some(head)
    }

    /// Moves the first frame, which is whole, to the end of `to`.
    pub(super) fn pass_first(&mut self, to: &mut BytesMut) {
        if let Some(frame) = self.take(|frame| to.extend_from_slice(frame)) {
            self.length -= frame;
        }
    }

    /// Throws the first frame away, which is whole.
    pub(super) fn drop_first(&mut self) {
        if let Some(frame) = self.take(|_| {}) {
            self.length -= frame;
        }
    }

    fn take(&mut self, mut use_it: impl FnMut(&[u8])) -> Option<usize> {
        let piece = self.pieces.front_mut()?;
        let length = FRAME_HEAD + Head::of_whole(piece)?.length;
        use_it(piece.get(..length)?);
        piece.advance(length);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::windows::frame::DATA;

    #[test]
    fn frames_come_out_as_they_went_in_and_take_little_more_than_their_length() {
        let mut held = Held::default();
        assert!(!held.put(b"x"));
        let lengths: Vec<usize> = (0..3000)
            .map(|n| n * 7 % 300)
            .chain([16_384, 0, 5])
            .collect();
        for &length in &lengths {
            let head = Head {
                length,
                kind: DATA,
                flags: 0,
                stream: 1,
            };
            held.begin(head);
            assert!(held.put(&head.written()));
            assert!(length == 0 || held.first().is_none_or(|first| first.length == lengths[0]));
            for part in vec![b'x'; length].chunks(100) {
                assert!(held.put(part));
            }
        }
        let capacity: usize = held.pieces.iter().map(BytesMut::capacity).sum();
        assert!(
            capacity < held.len() + held.len() / 8 + 2 * PIECE,
            "{capacity} for {}",
            held.len()
        );
        let mut all = BytesMut::new();
        for &length in &lengths {
            assert_eq!(held.first().unwrap().length, length);
            all.clear();
            held.pass_first(&mut all);
            assert_eq!(all.len(), FRAME_HEAD + length);
        }
        assert!(held.is_empty() && held.pieces.is_empty() && held.first().is_none());
    }
}

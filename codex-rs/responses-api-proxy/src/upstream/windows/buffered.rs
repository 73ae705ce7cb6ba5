//! Data of one stream that waits, in about as much memory as it is long, however small its frames were.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::frame::{DATA, Head};

/// What memory is taken at a time, in bytes.
const PIECE: usize = 16 * 1024;

/// In its order.
#[derive(Default)]
pub(super) struct BufferedData {
    /// None is empty.
    pieces: VecDeque<BytesMut>,
    length: usize,
}

impl BufferedData {
    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        self.length += data.len();
        let room = |piece: &BytesMut| piece.capacity() - piece.len();
        let room = self.pieces.back().map_or(0, room);
        let (first, rest) = data.split_at(room.min(data.len()));
        if let Some(piece) = self.pieces.back_mut() {
            piece.extend_from_slice(first);
        }
        for part in rest.chunks(PIECE) {
            let mut piece = BytesMut::with_capacity(PIECE);
            piece.extend_from_slice(part);
            self.pieces.push_back(piece);
        }
    }

    /// Moves at most so much to the end of `frames`, as a frame of this stream; returns how much that was.
    pub(super) fn move_to(&mut self, frames: &mut BytesMut, stream: u32, most: usize) -> usize {
        let length = most.min(self.length);
        frames.extend_from_slice(&Head::of(DATA, stream, length).written());
        let mut rest = length;
        while let Some(piece) = self.pieces.front_mut().filter(|_| rest > 0) {
            let part = piece.split_to(rest.min(piece.len()));
            frames.extend_from_slice(&part);
            rest -= part.len();
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.length -= length;
        length
    }
}

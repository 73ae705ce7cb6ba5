//! Bodies compressed by Zstandard (RFC 8878): one frame or several, whose contents are joined.
//!
//! Each block is given to the decoder whole, and what has left the window is handed on before the next one. A block decodes
//! to 128 KiB at most, which `ruzstd` sees to from 0.9 on.

mod frame;

use std::io::Read as _;

use codex_policy::Facts;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use self::frame::FrameHeader;
use super::body::{Body, MAX_PARTS};
use super::malformed::Malformed;

/// The largest window, in bytes: as much as a decoder has to support (RFC 8878, section 3.1.1.1.2).
pub(super) const MAX_WINDOW: u64 = 8 << 20;
/// The largest block, in bytes, both compressed and not (RFC 8878, section 3.1.1.2.4).
pub(super) const MAX_BLOCK: u64 = 128 << 10;
/// How much is handed on at once, in bytes.
const PIECE: usize = 32 << 10;
/// The length of a block's header, in bytes.
const BLOCK_HEADER: usize = 3;
/// The length of the checksum behind the last block, in bytes.
const CHECKSUM: usize = 4;

/// Decodes into a [`Body`].
pub(super) struct Zstd {
    body: Body,
    expected: Expected,
    /// What has come of what is expected.
    pending: Vec<u8>,
    piece: Box<[u8]>,
    /// How much has come, in bytes.
    encoded: u64,
    /// How many frames have begun.
    frames: u32,
}

/// What the next bytes are.
enum Expected {
    /// A frame, or the end of the body.
    Magic,
    /// Where so many bytes are left of a frame without content.
    Skipped(u64),
    SkippedSize,
    FrameDescriptor,
    /// All of a frame's header, from the magic number on.
    FrameHeader(usize),
    BlockHeader(Box<Frame>),
    /// A block with its header, and with the checksum if it is the last.
    Block(Box<Frame>, BlockHeader),
}

/// A frame that is being decoded.
struct Frame {
    header: FrameHeader,
    decoder: FrameDecoder,
    /// What was decoded and has left the window, in bytes.
    handed_on: u64,
}

#[derive(Clone, Copy)]
struct BlockHeader {
    is_last: bool,
    /// Of the block behind it as it stands in the frame, in bytes.
    encoded: usize,
}

impl Zstd {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            expected: Expected::Magic,
            pending: Vec::new(),
            piece: vec![0; PIECE].into(),
            encoded: 0,
            frames: 0,
        }
    }

    pub(super) fn push(&mut self, mut rest: &[u8]) -> Result<(), Malformed> {
        self.encoded = self.encoded.saturating_add(rest.len() as u64);
        self.body.allow_for(self.encoded);
        // A block without content is whole with its header.
        while !rest.is_empty() || self.is_whole() {
            if let Expected::Skipped(left) = &mut self.expected {
                let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= skipped as u64;
                if *left == 0 {
                    self.expected = Expected::Magic;
                }
                rest = rest.get(skipped..).unwrap_or_default();
                continue;
            }
            let missing = self.length().saturating_sub(self.pending.len());
            let (piece, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            self.pending.extend_from_slice(piece);
            rest = after;
            if piece.len() == missing {
                let expected = std::mem::replace(&mut self.expected, Expected::Magic);
                self.expected = self.arrived(expected)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Facts, Malformed> {
        match self.expected {
            Expected::Magic if self.pending.is_empty() => self.body.finish(),
            _ => Err(Malformed::Zstd),
        }
    }

    /// Whether what is expected has come already.
    fn is_whole(&self) -> bool {
        !matches!(self.expected, Expected::Skipped(_)) && self.pending.len() >= self.length()
    }

    /// How long what is expected is, in bytes.
    fn length(&self) -> usize {
        match &self.expected {
            Expected::Magic => frame::MAGIC,
            Expected::Skipped(_) => 0,
            Expected::SkippedSize => frame::MAGIC + frame::SKIPPED_SIZE,
            Expected::FrameDescriptor => frame::MAGIC + 1,
            Expected::FrameHeader(length) => *length,
            Expected::BlockHeader(_) => BLOCK_HEADER,
            Expected::Block(frame, block) => {
                let has_checksum = block.is_last && frame.header.has_checksum;
                BLOCK_HEADER + block.encoded + if has_checksum { CHECKSUM } else { 0 }
            }
        }
    }

    /// What was expected is there: what to expect next.
    fn arrived(&mut self, expected: Expected) -> Result<Expected, Malformed> {
        let next = match expected {
            Expected::Magic if self.frames == MAX_PARTS => {
                return Err(Malformed::TooManyParts(MAX_PARTS));
            }
            Expected::Magic if frame::is_skippable(&self.pending) => {
                self.frames += 1;
                return Ok(Expected::SkippedSize);
            }
            Expected::Magic if frame::is_frame(&self.pending) => {
                self.frames += 1;
                return Ok(Expected::FrameDescriptor);
            }
            Expected::Magic | Expected::Skipped(_) => return Err(Malformed::Zstd),
            Expected::SkippedSize => match frame::skipped_size(&self.pending)? {
                0 => Expected::Magic,
                left => Expected::Skipped(left),
            },
            Expected::FrameDescriptor => {
                return Ok(Expected::FrameHeader(frame::header_length(&self.pending)?));
            }
            Expected::FrameHeader(_) => {
                let header = FrameHeader::read(&self.pending)?;
                let mut decoder = FrameDecoder::new();
                decoder.reset(&*self.pending).map_err(|_| Malformed::Zstd)?;
                Expected::BlockHeader(Box::new(Frame {
                    header,
                    decoder,
                    handed_on: 0,
                }))
            }
            Expected::BlockHeader(frame) => {
                let block = BlockHeader::read(&self.pending, frame.header.max_block)?;
                return Ok(Expected::Block(frame, block));
            }
            Expected::Block(frame, block) => self.block(frame, block)?,
        };
        self.pending.clear();
        Ok(next)
    }

    fn block(&mut self, mut frame: Box<Frame>, block: BlockHeader) -> Result<Expected, Malformed> {
        frame
            .decoder
            .decode_blocks(&*self.pending, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|_| Malformed::Zstd)?;
        loop {
            // Until the last block, only what has left the window.
            let read = frame.decoder.read(&mut self.piece);
            let length = read.map_err(|_| Malformed::Zstd)?;
            if length == 0 {
                break;
            }
            self.body
                .push(self.piece.get(..length).unwrap_or_default())?;
            frame.handed_on += length as u64;
        }
        if !block.is_last {
            return Ok(Expected::BlockHeader(frame));
        }
        let content_size = frame.header.content_size;
        let is_as_long = content_size.is_none_or(|size| size == frame.handed_on);
        let is_intact = !frame.header.has_checksum
            || frame.decoder.get_checksum_from_data() == frame.decoder.get_calculated_checksum();
        if frame.decoder.is_finished() && is_as_long && is_intact {
            Ok(Expected::Magic)
        } else {
            Err(Malformed::Zstd)
        }
    }

    #[cfg(test)]
    pub(super) fn body(&self) -> &Body {
        &self.body
    }
}

impl BlockHeader {
    fn read(header: &[u8], max_block: u64) -> Result<Self, Malformed> {
        let header = frame::number(header);
        let size = header >> 3;
        let encoded = match header >> 1 & 3 {
            0 | 2 => size,
            // One byte, so many times.
            1 => 1,
            _ => return Err(Malformed::Zstd),
        };
        match usize::try_from(encoded) {
            Ok(encoded) if size <= max_block => Ok(Self {
                is_last: header & 1 == 1,
                encoded,
            }),
            _ => Err(Malformed::Zstd),
        }
    }
}

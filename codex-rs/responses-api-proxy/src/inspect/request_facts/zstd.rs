//! Frames of zstd (RFC 8878) that arrive in pieces, decoded block by block. Pure.
//!
//! Where a block ends is in its header, so that each is given to the decoder whole, and what it decodes to, 128 KiB at
//! most, is passed on before the next one. A frame that needs more than [`MAX_WINDOW`] or a dictionary is refused before
//! memory is taken for it.

use std::io::{self, Write};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Malformed;

/// The most of what was decoded that a frame may refer back to, in bytes: what every decoder has to have (RFC 9659).
const MAX_WINDOW: u64 = 8 * 1024 * 1024;

/// The longest block, in bytes (RFC 8878, section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 * 1024;

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// Any of sixteen (RFC 8878, section 3.1.2).
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

const CHECKSUM: usize = 4;
const BLOCK_HEADER: usize = 3;

const NOT_ZSTD: Malformed = Malformed::NotDecodable("zstd");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a frame.
    Frame,
    /// In a frame, before a block.
    Block { has_checksum: bool },
    /// In a frame that is skipped, with so many bytes left.
    Skipped(u64),
}

/// Decodes frame after frame.
pub(super) struct ZstdFrames {
    decoder: FrameDecoder,
    /// What has come of the next header or block.
    waiting: Vec<u8>,
    at: At,
    /// A frame that is not skipped has begun.
    has_begun: bool,
}

impl Default for ZstdFrames {
    fn default() -> Self {
        Self {
            decoder: FrameDecoder::new(),
            waiting: Vec::new(),
            at: At::Frame,
            has_begun: false,
        }
    }
}

impl ZstdFrames {
    /// Decodes what can be decoded with this piece, and gives it away piece by piece.
    ///
    /// # Errors
    ///
    /// Those of `take`, or that it is not zstd.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        loop {
            if let At::Skipped(left) = self.at {
                let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                if len < left {
                    self.at = At::Skipped(left - len);
                    return Ok(());
                }
                let skipped = usize::try_from(left).unwrap_or(piece.len());
                piece = piece.get(skipped..).unwrap_or_default();
                self.at = At::Frame;
            }
            let needed = self.needed()?;
            let missing = needed.saturating_sub(self.waiting.len());
            let (now, rest) = piece.split_at_checked(missing).unwrap_or((piece, &[]));
            self.waiting.extend_from_slice(now);
            piece = rest;
            if self.waiting.len() < needed {
                return Ok(());
            }
            // How much is needed may depend on what has just come.
            if self.needed()? > needed {
                continue;
            }
            match self.at {
                At::Frame => self.begin_frame()?,
                At::Block { has_checksum } => self.decode_block(has_checksum, &mut take)?,
                At::Skipped(_) => {}
            }
        }
    }

    /// The body ends here.
    ///
    /// # Errors
    ///
    /// In the middle of a frame, or without any.
    pub(super) fn finish(&self) -> Result<(), Malformed> {
        if self.at == At::Frame && self.waiting.is_empty() && self.has_begun {
            Ok(())
        } else {
            Err(NOT_ZSTD)
        }
    }

    /// How many bytes there have to be of the next header or block, as far as is known by those that are there.
    fn needed(&self) -> Result<usize, Malformed> {
        let waiting = self.waiting.as_slice();
        match self.at {
            At::Skipped(_) => Ok(0),
            At::Frame if waiting.get(1..4) == Some(&SKIPPABLE) => Ok(8),
            At::Frame => Ok(waiting
                .get(4)
                .map_or(5, |&descriptor| header_len(descriptor))),
            At::Block { has_checksum } => {
                let Some((header, _)) = waiting.split_first_chunk::<BLOCK_HEADER>() else {
                    return Ok(BLOCK_HEADER);
                };
                let block = Block::of(*header)?;
                let checksum = if block.is_last && has_checksum {
                    CHECKSUM
                } else {
                    0
                };
                Ok(BLOCK_HEADER + block.len + checksum)
            }
        }
    }

    fn begin_frame(&mut self) -> Result<(), Malformed> {
        let header = std::mem::take(&mut self.waiting);
        let magic = header.first_chunk::<4>().ok_or(NOT_ZSTD)?;
        let [kind, rest @ ..] = magic;
        if *rest == SKIPPABLE && kind & 0xf0 == 0x50 {
            let len = header.get(4..).and_then(<[u8]>::first_chunk::<4>);
            let len = len.ok_or(NOT_ZSTD)?;
            self.at = At::Skipped(u32::from_le_bytes(*len).into());
            return Ok(());
        }
        if *magic != MAGIC {
            return Err(NOT_ZSTD);
        }
        let descriptor = header.get(4).copied().ok_or(NOT_ZSTD)?;
        let fields = header.get(5..).ok_or(NOT_ZSTD)?;
        // A reserved bit, or a dictionary that nobody here has.
        if descriptor & 0b1011 != 0 || window(descriptor, fields).ok_or(NOT_ZSTD)? > MAX_WINDOW {
            return Err(NOT_ZSTD);
        }
        self.decoder
            .reset(header.as_slice())
            .map_err(|_| NOT_ZSTD)?;
        self.has_begun = true;
        self.at = At::Block {
            has_checksum: descriptor & 0b100 != 0,
        };
        Ok(())
    }

    fn decode_block(
        &mut self,
        has_checksum: bool,
        take: &mut impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut block = self.waiting.as_slice();
        self.decoder
            .decode_blocks(&mut block, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|_| NOT_ZSTD)?;
        self.waiting.clear();
        let mut passing = Passing {
            take,
            failure: NOT_ZSTD,
        };
        if self.decoder.collect_to_writer(&mut passing).is_err() {
            return Err(passing.failure);
        }
        if self.decoder.is_finished() {
            let checksums = (
                self.decoder.get_checksum_from_data(),
                self.decoder.get_calculated_checksum(),
            );
            if has_checksum && (checksums.0.is_none() || checksums.0 != checksums.1) {
                return Err(NOT_ZSTD);
            }
            self.at = At::Frame;
        }
        Ok(())
    }
}

/// Passes on what is decoded, without a copy.
struct Passing<'a, F> {
    take: &'a mut F,
    failure: Malformed,
}

impl<F> Write for Passing<'_, F>
where
    F: FnMut(&[u8]) -> Result<(), Malformed>,
{
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        match (self.take)(decoded) {
            Ok(()) => Ok(decoded.len()),
            Err(malformed) => {
                self.failure = malformed;
                Err(io::Error::other(malformed))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Of a frame's header, its magic number included, in bytes.
fn header_len(descriptor: u8) -> usize {
    let is_single = descriptor & 0x20 != 0;
    let window = usize::from(!is_single);
    let dictionary = match descriptor & 3 {
        3 => 4,
        len => usize::from(len),
    };
    5 + window + dictionary + content_size_len(descriptor)
}

fn content_size_len(descriptor: u8) -> usize {
    match descriptor >> 6 {
        0 => usize::from(descriptor & 0x20 != 0),
        flag => 1 << flag,
    }
}

/// What a frame may refer back to (RFC 8878, section 3.1.1.1.2), by what follows its descriptor, which says that there is
/// no dictionary.
fn window(descriptor: u8, fields: &[u8]) -> Option<u64> {
    if descriptor & 0x20 == 0 {
        let &byte = fields.first()?;
        let base = 1_u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * u64::from(byte & 7));
    }
    let len = content_size_len(descriptor);
    let mut size = [0; 8];
    size.get_mut(..len)?.copy_from_slice(fields.get(..len)?);
    let size = u64::from_le_bytes(size);
    Some(if len == 2 { size + 256 } else { size })
}

struct Block {
    is_last: bool,
    /// What follows the header, in bytes.
    len: usize,
}

impl Block {
    fn of(header: [u8; BLOCK_HEADER]) -> Result<Self, Malformed> {
        let [low, middle, high] = header;
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let size = usize::try_from(header >> 3).unwrap_or(usize::MAX);
        if size > MAX_BLOCK {
            return Err(NOT_ZSTD);
        }
        let len = match (header >> 1) & 3 {
            // One byte, so many times.
            1 => 1,
            3 => return Err(NOT_ZSTD),
            _ => size,
        };
        Ok(Self {
            is_last: header & 1 != 0,
            len,
        })
    }
}

//! The beginnings of frames (RFC 8878, sections 3.1.1.1 and 3.1.2).

use super::super::malformed::Malformed;
use super::{MAX_BLOCK, MAX_WINDOW};

/// The length of a magic number, in bytes.
pub(super) const MAGIC: usize = 4;
/// The length of the size of a skippable frame, in bytes.
pub(super) const SKIPPED_SIZE: usize = 4;

/// What a frame says of itself.
pub(super) struct FrameHeader {
    pub(super) has_checksum: bool,
    /// What all blocks decode to, in bytes, if it says so.
    pub(super) content_size: Option<u64>,
    /// What one block may decode to, in bytes.
    pub(super) max_block: u64,
}

pub(super) fn is_frame(magic: &[u8]) -> bool {
    number(magic) == 0xfd2f_b528
}

pub(super) fn is_skippable(magic: &[u8]) -> bool {
    number(magic) & !0xf == 0x184d_2a50
}

/// How much there is to skip behind the beginning of a skippable frame, in bytes.
pub(super) fn skipped_size(begin: &[u8]) -> Result<u64, Malformed> {
    begin.get(MAGIC..).map(number).ok_or(Malformed::Zstd)
}

/// The parts of a frame's header that may be missing: their lengths, in bytes.
struct Lengths {
    window: usize,
    dictionary: usize,
    content_size: usize,
}

fn descriptor(begin: &[u8]) -> Result<u8, Malformed> {
    begin.get(MAGIC).copied().ok_or(Malformed::Zstd)
}

fn lengths(descriptor: u8) -> Result<Lengths, Malformed> {
    // The reserved bit.
    if descriptor & 0x08 != 0 {
        return Err(Malformed::Zstd);
    }
    let is_single_segment = descriptor & 0x20 != 0;
    Ok(Lengths {
        window: usize::from(!is_single_segment),
        dictionary: match descriptor & 3 {
            3 => 4,
            length => usize::from(length),
        },
        content_size: match descriptor >> 6 {
            0 => usize::from(is_single_segment),
            log => 1 << log,
        },
    })
}

/// The length of a frame's header, in bytes, of which the magic number and the descriptor have come.
pub(super) fn header_length(begin: &[u8]) -> Result<usize, Malformed> {
    let lengths = lengths(descriptor(begin)?)?;
    Ok(MAGIC + 1 + lengths.window + lengths.dictionary + lengths.content_size)
}

impl FrameHeader {
    /// From a whole header.
    pub(super) fn read(header: &[u8]) -> Result<Self, Malformed> {
        let descriptor = descriptor(header)?;
        let lengths = lengths(descriptor)?;
        let rest = header.get(MAGIC + 1..).unwrap_or_default();
        let parts = rest
            .split_at_checked(lengths.window)
            .and_then(|(window, rest)| {
                let (dictionary, size) = rest.split_at_checked(lengths.dictionary)?;
                Some((window, dictionary, size))
            });
        let (window, dictionary, size) = parts.ok_or(Malformed::Zstd)?;
        if number(dictionary) != 0 {
            return Err(Malformed::ZstdDictionary);
        }
        let content_size = match size.len() {
            0 => None,
            // One byte says up to 255 already.
            2 => Some(number(size) + 256),
            _ => Some(number(size)),
        };
        let window_size = match (window, content_size) {
            (&[window], _) => {
                let base = 1 << (10 + (window >> 3));
                base + base / 8 * u64::from(window & 7)
            }
            (_, Some(content_size)) => content_size,
            (_, None) => return Err(Malformed::Zstd),
        };
        if window_size > MAX_WINDOW {
            return Err(Malformed::ZstdWindow(MAX_WINDOW));
        }
        Ok(Self {
            has_checksum: descriptor & 0x04 != 0,
            content_size,
            max_block: window_size.min(MAX_BLOCK),
        })
    }
}

/// A number in at most 8 bytes, the least significant first.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

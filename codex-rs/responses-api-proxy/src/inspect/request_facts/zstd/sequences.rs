//! How large a compressed block is once it is decoded (RFC 8878, section 3.1.1.3), found without decoding it.

use super::fse::{BackwardBits, Table};

/// The length codes from 16 on, of literals: where they begin, and how many bits are added.
const LITERAL_CODES: [(u32, u32); 20] = [
    (16, 1),
    (18, 1),
    (20, 1),
    (22, 1),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 4),
    (64, 6),
    (128, 7),
    (256, 8),
    (512, 9),
    (1024, 10),
    (2048, 11),
    (4096, 12),
    (8192, 13),
    (16384, 14),
    (32768, 15),
    (65536, 16),
];
/// The length codes from 32 on, of matches.
const MATCH_CODES: [(u32, u32); 21] = [
    (35, 1),
    (37, 1),
    (39, 1),
    (41, 1),
    (43, 2),
    (47, 2),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 5),
    (131, 7),
    (259, 8),
    (515, 9),
    (1027, 10),
    (2051, 11),
    (4099, 12),
    (8195, 13),
    (16387, 14),
    (32771, 15),
    (65539, 16),
];

/// What is known of one kind of codes before any block.
struct Kind {
    max_log: u32,
    max_symbol: u8,
    default_log: u32,
    default: &'static [i32],
}

const LITERALS: Kind = Kind {
    max_log: 9,
    max_symbol: 35,
    default_log: 6,
    default: &[
        4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1,
        1, 1, -1, -1, -1, -1,
    ],
};
const OFFSETS: Kind = Kind {
    max_log: 8,
    max_symbol: 31,
    default_log: 5,
    default: &[
        1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
    ],
};
const MATCHES: Kind = Kind {
    max_log: 9,
    max_symbol: 52,
    default_log: 6,
    default: &[
        1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
};

/// Measures the blocks of one frame, in their order: a block may use the tables of the one before.
pub(super) struct BlockSizes {
    /// What one block may decode to, in bytes.
    max: u64,
    literals: Option<Table>,
    offsets: Option<Table>,
    matches: Option<Table>,
}

impl BlockSizes {
    pub(super) fn new(max: u64) -> Self {
        Self {
            max,
            literals: None,
            offsets: None,
            matches: None,
        }
    }

    /// What the content of a compressed block decodes to, in bytes; `None` if it cannot be decoded, or is larger than a
    /// block may be.
    pub(super) fn measure(&mut self, content: &[u8]) -> Option<u64> {
        let (literals, rest) = literals_section(content)?;
        let size = literals.checked_add(self.sequences_section(rest, literals)?)?;
        (size <= self.max).then_some(size)
    }

    /// How many bytes are copied by all matches.
    fn sequences_section(&mut self, section: &[u8], literals: u64) -> Option<u64> {
        let (&first, rest) = section.split_first()?;
        let (count, rest) = match first {
            0..=127 => (u32::from(first), rest),
            128..=254 => {
                let (&second, rest) = rest.split_first()?;
                (u32::from(first - 128) << 8 | u32::from(second), rest)
            }
            255 => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (u32::from(u16::from_le_bytes(*bytes)) + 0x7f00, rest)
            }
        };
        if count == 0 {
            return rest.is_empty().then_some(0);
        }
        let (&modes, rest) = rest.split_first()?;
        // The reserved bits.
        if modes & 3 != 0 {
            return None;
        }
        let rest = LITERALS.table(modes >> 6, rest, &mut self.literals)?;
        let rest = OFFSETS.table(modes >> 4 & 3, rest, &mut self.offsets)?;
        let rest = MATCHES.table(modes >> 2 & 3, rest, &mut self.matches)?;
        let tables = (
            self.literals.as_ref()?,
            self.offsets.as_ref()?,
            self.matches.as_ref()?,
        );
        lengths(count, rest, tables, literals, self.max)
    }
}

impl Kind {
    /// Takes the table that a block says into `table`; what is behind it.
    fn table<'a>(&self, mode: u8, source: &'a [u8], table: &mut Option<Table>) -> Option<&'a [u8]> {
        match mode {
            0 => {
                *table = Some(Table::from_probabilities(self.default_log, self.default)?);
                Some(source)
            }
            1 => {
                let (&symbol, rest) = source.split_first()?;
                if symbol > self.max_symbol {
                    return None;
                }
                *table = Some(Table::of_one(symbol));
                Some(rest)
            }
            2 => {
                let (read, rest) = Table::read(source, self.max_log, self.max_symbol)?;
                *table = Some(read);
                Some(rest)
            }
            // That of the block before.
            _ => table.is_some().then_some(source),
        }
    }
}

/// Reads all sequences; the sum of the lengths of their matches, in bytes.
fn lengths(
    count: u32,
    source: &[u8],
    (literals, offsets, matches): (&Table, &Table, &Table),
    max_literals: u64,
    max: u64,
) -> Option<u64> {
    let mut bits = BackwardBits::new(source)?;
    let mut literal = literals.first(&mut bits)?;
    let mut offset = offsets.first(&mut bits)?;
    let mut matched = matches.first(&mut bits)?;
    let (mut copied, mut taken) = (0, 0);
    for left in (0..count).rev() {
        bits.read(u32::from(offset.symbol))?;
        copied += u64::from(length(matched.symbol, 3, 32, &MATCH_CODES, &mut bits)?);
        taken += u64::from(length(literal.symbol, 0, 16, &LITERAL_CODES, &mut bits)?);
        if taken > max_literals || copied > max {
            return None;
        }
        if left > 0 {
            literal = literals.next(literal, &mut bits)?;
            matched = matches.next(matched, &mut bits)?;
            offset = offsets.next(offset, &mut bits)?;
        }
    }
    bits.is_at_end().then_some(copied)
}

/// The length that a code stands for: below `first` it is the code itself, and `least` more.
fn length(
    code: u8,
    least: u32,
    first: u8,
    codes: &[(u32, u32)],
    bits: &mut BackwardBits<'_>,
) -> Option<u32> {
    let Some(at) = code.checked_sub(first) else {
        return Some(u32::from(code) + least);
    };
    let (base, count) = codes.get(usize::from(at))?;
    Some(base + bits.read(*count)?)
}

/// How many literals a block has, and what is behind them.
fn literals_section(content: &[u8]) -> Option<(u64, &[u8])> {
    let first = *content.first()?;
    let is_compressed = first & 2 != 0;
    let is_one_byte = first & 3 == 1;
    let format = first >> 2 & 3;
    let header_length = match (is_compressed, format) {
        (false, 0 | 2) => 1,
        (false, 1) => 2,
        (false, _) | (true, 0 | 1) => 3,
        (true, 2) => 4,
        (true, _) => 5,
    };
    let (header, rest) = content.split_at_checked(header_length)?;
    let header = super::frame::number(header);
    let (size, encoded) = match (is_compressed, format) {
        (false, 0 | 2) => (header >> 3, header >> 3),
        (false, _) => (header >> 4, header >> 4),
        (true, 0 | 1) => (header >> 4 & 0x3ff, header >> 14),
        (true, 2) => (header >> 4 & 0x3fff, header >> 18),
        (true, _) => (header >> 4 & 0x3_ffff, header >> 22),
    };
    let encoded = if is_one_byte { 1 } else { encoded };
    let rest = rest.get(usize::try_from(encoded).ok()?..)?;
    Some((size, rest))
}

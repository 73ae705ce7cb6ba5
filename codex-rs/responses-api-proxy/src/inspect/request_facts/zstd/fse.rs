//! Tables of Finite State Entropy, and the bits that go with them (RFC 8878, section 4.1).

/// The states that symbols are decoded by.
#[derive(Clone)]
pub(super) struct Table {
    /// How many bits the first state has.
    pub(super) log: u32,
    states: Vec<State>,
}

/// A symbol, and how the state after it is read.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    pub(super) symbol: u8,
    pub(super) bits: u32,
    base: u32,
}

impl Table {
    /// One state, of a symbol that repeats.
    pub(super) fn of_one(symbol: u8) -> Self {
        let state = State {
            symbol,
            ..State::default()
        };
        Self {
            log: 0,
            states: vec![state],
        }
    }

    /// From the description at the beginning of `source`; with what is behind it.
    pub(super) fn read(source: &[u8], max_log: u32, max_symbol: u8) -> Option<(Self, &[u8])> {
        let mut bits = ForwardBits { source, at: 0 };
        let log = bits.read(4)? + 5;
        if log > max_log {
            return None;
        }
        let mut left = 1_u32 << log;
        let mut probabilities = Vec::new();
        while left > 0 {
            // A value of 0 to left + 1; the lower ones take one bit less.
            let width = (left + 1).ilog2() + 1;
            let lower = (1 << width) - 2 - left;
            let mut value = bits.read(width - 1)?;
            if value >= lower {
                value |= bits.read(1)? << (width - 1);
                if value >= 1 << (width - 1) {
                    value -= lower;
                }
            }
            let probability = i32::try_from(value).ok()? - 1;
            left = left.checked_sub(probability.unsigned_abs())?;
            probabilities.push(probability);
            if probability == 0 {
                loop {
                    let zeros = bits.read(2)?;
                    probabilities.extend((0..zeros).map(|_| 0));
                    if zeros < 3 {
                        break;
                    }
                }
            }
            if probabilities.len() > usize::from(max_symbol) + 1 {
                return None;
            }
        }
        let table = Self::from_probabilities(log, &probabilities)?;
        Some((table, source.get(bits.at.div_ceil(8)..)?))
    }

    /// From how many of the `1 << log` states are each symbol's; -1 is one state that is left by all its bits.
    pub(super) fn from_probabilities(log: u32, probabilities: &[i32]) -> Option<Self> {
        let size = 1_usize << log;
        let mut states = vec![State::default(); size];
        let mut free = size;
        for (symbol, &probability) in (0_u8..).zip(probabilities) {
            if probability == -1 {
                free = free.checked_sub(1)?;
                states.get_mut(free)?.symbol = symbol;
            }
        }
        let mut position = 0;
        for (symbol, &probability) in (0_u8..).zip(probabilities) {
            for _ in 0..probability.max(0) {
                if free == 0 {
                    return None;
                }
                states.get_mut(position)?.symbol = symbol;
                loop {
                    position = (position + (size >> 1) + (size >> 3) + 3) & (size - 1);
                    if position < free {
                        break;
                    }
                }
            }
        }
        let mut next: Vec<u32> = probabilities.iter().map(|one| one.unsigned_abs()).collect();
        for state in &mut states {
            let next = next.get_mut(usize::from(state.symbol))?;
            state.bits = log.checked_sub(next.checked_ilog2()?)?;
            state.base = (*next << state.bits).checked_sub(1 << log)?;
            *next += 1;
        }
        Some(Self { log, states })
    }

    /// The first state.
    pub(super) fn first(&self, bits: &mut BackwardBits<'_>) -> Option<State> {
        self.states.get(bits.read(self.log)? as usize).copied()
    }

    /// The state after this one.
    pub(super) fn next(&self, state: State, bits: &mut BackwardBits<'_>) -> Option<State> {
        let at = state.base + bits.read(state.bits)?;
        self.states.get(at as usize).copied()
    }
}

struct ForwardBits<'a> {
    source: &'a [u8],
    /// In bits.
    at: usize,
}

impl ForwardBits<'_> {
    /// Up to 16 bits.
    fn read(&mut self, count: u32) -> Option<u32> {
        let end = self.at + count as usize;
        if end > self.source.len() * 8 {
            return None;
        }
        let value = word(self.source, self.at / 8) >> (self.at % 8);
        self.at = end;
        Some(value as u32 & ((1 << count) - 1))
    }
}

/// Bits that are read from their end.
pub(super) struct BackwardBits<'a> {
    source: &'a [u8],
    /// How many are left.
    left: usize,
}

impl<'a> BackwardBits<'a> {
    /// `None` unless the last byte has the bit that marks the end.
    pub(super) fn new(source: &'a [u8]) -> Option<Self> {
        let last = *source.last()?;
        let padding = last.leading_zeros() as usize + 1;
        Some(Self {
            source,
            left: (source.len() * 8).checked_sub(padding)?,
        })
    }

    /// Up to 32 bits.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        self.left = self.left.checked_sub(count as usize)?;
        let value = word(self.source, self.left / 8) >> (self.left % 8);
        Some((value & ((1 << count) - 1)) as u32)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.left == 0
    }
}

/// The 8 bytes from there on, the least significant first, with zeros for those that are missing.
fn word(source: &[u8], at: usize) -> u64 {
    let rest = source.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => super::frame::number(rest),
    }
}

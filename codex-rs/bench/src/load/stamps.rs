//! Pure: the stamps in a stream of events, however it is cut into pieces.

const BEFORE: &[u8] = b"data: ";

/// Reads `data: NANOSECONDS` lines.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    line: Vec<u8>,
}

impl Stamps {
    /// Takes the next piece of a body and hands on each stamp whose line is complete.
    pub(crate) fn take(&mut self, data: &[u8], mut found: impl FnMut(u64)) {
        for &byte in data {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let digits = self.line.strip_prefix(BEFORE);
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(stamp) = digits.and_then(|digits| digits.parse().ok()) {
                found(stamp);
            }
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_found_in_pieces_of_any_size() {
        let events = b"data: 00000000000000000007\n\ndata: 42\n\n: 5\n";
        for size in 1..=events.len() {
            let mut stamps = Stamps::default();
            let mut found = Vec::new();
            for piece in events.chunks(size) {
                stamps.take(piece, |stamp| found.push(stamp));
            }
            assert_eq!(found, [7, 42]);
        }
    }
}

//! Where a chunked body ends (RFC 9112, section 7.1). Pure.
//!
//! hyper decodes the chunks. It is given nothing that lies behind their end, because it
//! stops reading while it has such bytes, and a caller that leaves would go unnoticed.
//! So the two must agree on where the end is: what is accepted here is read by hyper in
//! the same way, and what is not ends the request body with an error.

/// The most digits of a chunk's size.
const MAX_DIGITS: u8 = 16;

/// The framing of one chunked body.
#[derive(Debug, Default)]
pub(crate) struct Chunked(At);

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    Size {
        size: u64,
        digits: u8,
    },
    /// What follows the size, up to the end of the line.
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    /// So many bytes are left of a chunk.
    Data(u64),
    DataCr,
    DataLf,
    /// The first byte of a line behind the last chunk.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Over,
    Broken,
}

impl Chunked {
    /// How many of these bytes, which follow those of the last call, belong to the body.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let At::Data(left) = self.0 {
                let here = bytes.len() - at;
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(here);
                at += taken;
                self.0 = match left - u64::try_from(taken).unwrap_or(left) {
                    0 => At::DataCr,
                    left => At::Data(left),
                };
                continue;
            }
            let next = self.0.step(byte);
            if matches!(self.0, At::Over) || next == At::Broken {
                self.0 = next;
                break;
            }
            self.0 = next;
            at += 1;
        }
        at
    }

    /// Whether all of the body has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.0 == At::Over
    }

    /// Whether the next byte cannot be part of a chunked body.
    pub(crate) fn is_broken(&self) -> bool {
        self.0 == At::Broken
    }
}

impl At {
    fn step(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Start, _) => Self::Size { size: 0, digits: 0 }.step(byte),
            (Self::Size { size, digits: 1.. }, b'\r') => Self::SizeLf { size },
            (Self::Size { size, digits: 1.. }, b';') => Self::Extension { size },
            (Self::Size { size, digits }, _) if digits < MAX_DIGITS => {
                match char::from(byte).to_digit(16) {
                    Some(digit) => Self::Size {
                        size: size << 4 | u64::from(digit),
                        digits: digits + 1,
                    },
                    None => Self::Broken,
                }
            }
            (Self::Extension { size }, b'\r') => Self::SizeLf { size },
            (Self::Extension { size }, b'\t' | b' '..=b'~') => Self::Extension { size },
            (Self::SizeLf { size: 0 }, b'\n') => Self::TrailerStart,
            (Self::SizeLf { size }, b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Start,
            (Self::TrailerStart, b'\r') => Self::EndLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::TrailerStart | Self::Trailer, b'\t' | b' '..=b'~') => Self::Trailer,
            (Self::TrailerLf, b'\n') => Self::TrailerStart,
            (Self::EndLf, b'\n') => Self::Over,
            (Self::Over, _) => Self::Over,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of `bytes`, which arrive in pieces of `size`, is the body; and its framing.
    fn follow(bytes: &[u8], size: usize) -> (usize, Chunked) {
        let mut chunked = Chunked::default();
        let mut passed = 0;
        for piece in bytes.chunks(size) {
            let taken = chunked.follow(piece);
            passed += taken;
            if taken < piece.len() {
                break;
            }
        }
        (passed, chunked)
    }

    #[test]
    fn the_end_is_found_however_the_body_is_cut() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "1;a=\"b\"\r\n\n\r\n00\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
            "A\r\n0123456789\r\nb\r\n0\r\n\r\n012345\r\n000\r\n\r\n",
        ] {
            let more = format!("{body}GET / HTTP/1.1\r\n");
            for size in 1..=more.len() {
                let (passed, chunked) = follow(more.as_bytes(), size);
                assert_eq!(passed, body.len(), "{body:?} in pieces of {size}");
                assert!(chunked.is_over());
            }
            for cut in 0..body.len() {
                let (passed, chunked) = follow(&body.as_bytes()[..cut], cut.max(1));
                assert_eq!(passed, cut);
                assert!(!chunked.is_over() && !chunked.is_broken());
            }
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_stops_it() {
        for (body, passed) in [
            ("\r\n", 0),
            (";\r\n", 0),
            ("x", 0),
            (" 5\r\n", 0),
            ("5 \r\n", 1),
            ("5\n", 1),
            ("5\rx", 2),
            ("5;a\nhello", 3),
            ("2\r\nabc", 5),
            ("2\r\nab\n", 5),
            ("0\r\nA: b\n\r\n", 7),
            ("0\r\n\rx", 4),
            ("00000000000000001\r\n", 16),
        ] {
            for size in 1..=body.len() {
                let (taken, chunked) = follow(body.as_bytes(), size);
                assert_eq!(taken, passed, "{body:?} in pieces of {size}");
                assert!(chunked.is_broken());
            }
        }
    }
}

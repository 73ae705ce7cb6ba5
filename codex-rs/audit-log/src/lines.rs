//! Lines out of a stream, in bounded memory whatever is in it.

use std::io::{self, BufRead, BufReader, Read};

/// How much is read in one go, in bytes.
const AT_ONCE: usize = 256 * 1024;

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By a line feed.
    LineFeed,
    /// By a line feed, but only its beginning was kept: it is longer than it may be.
    TooLong,
    /// By the end of the stream.
    Nothing,
}

/// The lines of a stream.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    most: usize,
}

impl<R: Read> Lines<R> {
    /// Of at most `most` bytes each.
    pub(crate) fn new(input: R, most: usize) -> Self {
        Self {
            input: BufReader::with_capacity(AT_ONCE, input),
            line: Vec::new(),
            most,
        }
    }

    /// The next line without its line feed; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) fn next(&mut self) -> io::Result<Option<(&[u8], Ending)>> {
        self.line.clear();
        let mut is_too_long = false;
        loop {
            let found = match self.input.fill_buf() {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', found);
            let part = found.get(..end.unwrap_or(found.len())).unwrap_or_default();
            let room = self.most.saturating_sub(self.line.len());
            is_too_long |= part.len() > room;
            self.line
                .extend_from_slice(part.get(..room).unwrap_or(part));
            let is_at_end = found.is_empty();
            let taken = part.len() + usize::from(end.is_some());
            self.input.consume(taken);
            let ending = match end {
                Some(_) if is_too_long => Ending::TooLong,
                Some(_) => Ending::LineFeed,
                None if is_at_end && self.line.is_empty() => return Ok(None),
                None if is_at_end => Ending::Nothing,
                None => continue,
            };
            return Ok(Some((&self.line, ending)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that hands out a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(to.len());
            let (now, later) = self.0.split_at(most.min(self.0.len()));
            to[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    fn all(text: &str, at_once: usize) -> Vec<(String, Ending)> {
        let mut lines = Lines::new(Slow(text.as_bytes(), at_once), 4);
        let mut found = Vec::new();
        while let Some((line, ending)) = lines.next().unwrap() {
            found.push((String::from_utf8(line.to_vec()).unwrap(), ending));
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        use Ending::{LineFeed, Nothing, TooLong};
        for at_once in 1..20 {
            for (text, expected) in [
                ("", &[][..]),
                ("\n", &[("", LineFeed)]),
                (
                    "one\n\nfour\n",
                    &[("one", LineFeed), ("", LineFeed), ("four", LineFeed)],
                ),
                ("fiver\ntwo", &[("five", TooLong), ("two", Nothing)]),
                ("one\nfiver", &[("one", LineFeed), ("five", Nothing)]),
            ] {
                let expected: Vec<(String, Ending)> = expected
                    .iter()
                    .map(|(line, ending)| ((*line).to_owned(), *ending))
                    .collect();
                assert_eq!(all(text, at_once), expected, "{text:?} by {at_once}");
            }
        }
    }
}

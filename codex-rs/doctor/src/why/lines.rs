//! The lines of a file from its end, in bounded memory: what is asked for is most often new.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use memchr::memrchr;

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// The longest line that is kept, in bytes. Those of the access log have fewer than 8 KiB.
const LONGEST: usize = 256 * 1024;

/// A line, or that there was one and it was too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Longer than [`LONGEST`].
    TooLong,
    /// The last one, without its newline: it was cut, or is still being written.
    Unfinished,
}

/// The lines of a file, the last one first.
#[derive(Debug)]
pub(super) struct LinesFromEnd {
    file: File,
    /// How much of the file lies before what was read.
    before: u64,
    /// What was read, and is not given out yet, the last byte last.
    buffer: Vec<u8>,
    /// What was read of a line whose beginning is not there yet, from its end: pieces, the last one first.
    behind: Vec<Vec<u8>>,
    /// Their length; it goes on counting where they are not kept any more.
    length: usize,
    /// Whether the end of the file has been dealt with.
    has_begun: bool,
    is_unfinished: bool,
    is_done: bool,
}

impl LinesFromEnd {
    /// Of the file as long as it is now.
    ///
    /// # Errors
    ///
    /// Those of `lseek(2)`: it is a pipe.
    pub(super) fn of(mut file: File) -> io::Result<Self> {
        let before = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            before,
            buffer: Vec::new(),
            behind: Vec::new(),
            length: 0,
            has_begun: false,
            is_unfinished: false,
            is_done: before == 0,
        })
    }

    /// Reads the piece before; false at the beginning of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.before == 0 {
            return Ok(false);
        }
        let length = usize::try_from(self.before).unwrap_or(PIECE).min(PIECE);
        self.before -= length as u64;
        self.file.seek(SeekFrom::Start(self.before))?;
        self.buffer.resize(length, 0);
        self.file.read_exact(&mut self.buffer)?;
        if !self.has_begun {
            self.has_begun = true;
            self.is_unfinished = self.buffer.last() != Some(&b'\n');
            if !self.is_unfinished {
                self.buffer.pop();
            }
        }
        Ok(true)
    }

    /// The line before the last one that was given; `None` at the beginning of the file.
    ///
    /// # Errors
    ///
    /// Those of reading, also where the file has become shorter meanwhile.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if self.is_done {
            return Ok(None);
        }
        loop {
            if let Some(at) = memrchr(b'\n', &self.buffer) {
                let tail = self.buffer.split_off(at + 1);
                self.buffer.pop();
                self.keep(tail);
                return Ok(Some(self.take()));
            }
            let rest = std::mem::take(&mut self.buffer);
            self.keep(rest);
            if !self.fill()? {
                self.is_done = true;
                return Ok(Some(self.take()));
            }
        }
    }

    fn keep(&mut self, part: Vec<u8>) {
        self.length = self.length.saturating_add(part.len());
        if self.length > LONGEST {
            self.behind.clear();
        } else {
            self.behind.push(part);
        }
    }

    fn take(&mut self) -> Line {
        let parts = std::mem::take(&mut self.behind);
        let length = std::mem::take(&mut self.length);
        if std::mem::take(&mut self.is_unfinished) {
            return Line::Unfinished;
        }
        if length > LONGEST {
            return Line::TooLong;
        }
        Line::Whole(parts.into_iter().rev().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(content: &[u8]) -> Vec<Line> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut lines = LinesFromEnd::of(file).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line);
        }
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn the_last_line_comes_first_and_none_is_lost() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [whole("")]);
        assert_eq!(lines(b"a\n"), [whole("a")]);
        assert_eq!(lines(b"a\n\nb\n"), [whole("b"), whole(""), whole("a")]);
        assert_eq!(lines(b"a\nb"), [Line::Unfinished, whole("a")]);
    }

    #[test]
    fn lines_are_whole_wherever_the_pieces_are_cut() {
        for longest in [1, 100, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 7] {
            let text: Vec<String> = (0..20)
                .map(|n| format!("{n}{}", "x".repeat(longest)))
                .collect();
            let content = text.join("\n") + "\n";
            let expected: Vec<Line> = text.iter().rev().map(|line| whole(line)).collect();
            assert_eq!(lines(content.as_bytes()), expected, "{longest}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_without_being_kept() {
        let content = format!("a\n{}\nb\n", "x".repeat(10 * LONGEST));
        assert_eq!(
            lines(content.as_bytes()),
            [whole("b"), Line::TooLong, whole("a")]
        );
    }
}

//! The lines of a rollout file, read in bounded memory: whoever wrote it may have been killed, or mean harm.

use std::io::{self, BufRead};

/// A line may hold a question with images.
pub(super) const MAX_LINE: usize = 64 << 20;

/// Calls `each` with every line, without its end, until it returns `false`. A line that is longer
/// than `most` bytes is left out. Returns how many were.
///
/// # Errors
///
/// Those of reading.
pub(super) fn each_line(
    mut input: impl BufRead,
    most: usize,
    mut each: impl FnMut(&[u8]) -> bool,
) -> io::Result<usize> {
    let mut line = Vec::new();
    let (mut left_out, mut is_long) = (0, false);
    loop {
        let piece = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            piece => piece?,
        };
        if piece.is_empty() {
            if is_long {
                left_out += 1;
            } else if !line.is_empty() {
                each(&line);
            }
            return Ok(left_out);
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(piece.len(), |end| end + 1);
        let part = piece.get(..end.unwrap_or(taken)).unwrap_or_default();
        is_long |= line.len() + part.len() > most;
        if is_long {
            line.clear();
        } else {
            line.extend_from_slice(part);
        }
        input.consume(taken);
        if end.is_some() {
            if std::mem::take(&mut is_long) {
                left_out += 1;
            } else if !line.is_empty() && !each(&line) {
                return Ok(left_out);
            }
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_length() {
        let read = |text: &str| {
            let mut lines = Vec::new();
            // Pieces of three bytes.
            let input = io::BufReader::with_capacity(3, text.as_bytes());
            let left_out = each_line(input, 5, |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
                line != b"stop"
            });
            (lines.join(","), left_out.unwrap())
        };
        assert_eq!(read("a\n\nbcdef\ng"), ("a,bcdef,g".to_owned(), 0));
        assert_eq!(read("a\nbcdefg\nh\n"), ("a,h".to_owned(), 1));
        assert_eq!(read("abcdefghijk"), (String::new(), 1));
        assert_eq!(read("stop\na\n"), ("stop".to_owned(), 0));
    }
}

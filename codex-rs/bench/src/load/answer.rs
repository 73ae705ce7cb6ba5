//! Pure: an HTTP/1.1 answer read piece by piece, for its framing, its size and nothing else.

use anyhow::{Context, Result, bail};

/// The longest head or chunk line that is accepted, in bytes.
const LONGEST_LINE: usize = 16 << 10;

/// An answer on its way in.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    part: Part,
    /// A head or line of which the end is not here yet.
    line: Vec<u8>,
    /// The status; 0 before the head.
    pub(crate) status: u16,
    /// Bytes of body so far, framing not counted.
    pub(crate) size: u64,
    /// The connection ends with this answer.
    pub(crate) closes: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Head,
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Counted(u64),
    UntilClose,
    Over,
}

impl Answer {
    /// Whether all of it is here.
    pub(crate) fn is_over(&self) -> bool {
        self.part == Part::Over
    }

    /// The connection has ended: whether that is an end of the answer too.
    pub(crate) fn is_whole_at_close(&self) -> bool {
        matches!(self.part, Part::Over | Part::UntilClose)
    }

    /// Takes what arrived and hands on what of it is body. Returns how much was taken: all,
    /// unless the answer is over.
    ///
    /// # Errors
    /// When it is not HTTP/1.1.
    pub(crate) fn take(&mut self, arrived: &[u8], body: &mut impl FnMut(&[u8])) -> Result<usize> {
        let mut rest = arrived;
        while !rest.is_empty() && self.part != Part::Over {
            rest = match self.part {
                Part::Chunk(left) => {
                    let (data, after) = up_to(rest, left);
                    self.data(data, body);
                    self.part = match left - data.len() as u64 {
                        0 => Part::ChunkEnd,
                        left => Part::Chunk(left),
                    };
                    after
                }
                Part::Counted(left) => {
                    let (data, after) = up_to(rest, left);
                    self.data(data, body);
                    self.part = match left - data.len() as u64 {
                        0 => Part::Over,
                        left => Part::Counted(left),
                    };
                    after
                }
                Part::UntilClose => {
                    self.data(rest, body);
                    &[]
                }
                Part::Head => self.take_until(rest, b"\r\n\r\n", Self::head)?,
                Part::ChunkSize => self.take_until(rest, b"\r\n", Self::chunk_size)?,
                Part::ChunkEnd => self.take_until(rest, b"\r\n", Self::chunk_end)?,
                Part::Trailer => self.take_until(rest, b"\r\n", Self::trailer)?,
                Part::Over => rest,
            };
        }
        Ok(arrived.len() - rest.len())
    }

    fn data(&mut self, data: &[u8], body: &mut impl FnMut(&[u8])) {
        self.size += data.len() as u64;
        body(data);
    }

    /// Takes bytes up to a mark and, when the mark is there, has them read.
    fn take_until<'a>(
        &mut self,
        rest: &'a [u8],
        mark: &[u8],
        read: fn(&mut Self, &[u8]) -> Result<()>,
    ) -> Result<&'a [u8]> {
        if self.line.is_empty()
            && let Some(at) = memchr::memmem::find(rest, mark)
        {
            let (line, after) = rest.split_at(at + mark.len());
            read(self, line)?;
            return Ok(after);
        }
        // It is spread over several reads, which is rare: byte by byte will do.
        for (at, &byte) in rest.iter().enumerate() {
            self.line.push(byte);
            if self.line.ends_with(mark) {
                let line = std::mem::take(&mut self.line);
                read(self, &line)?;
                return Ok(rest.get(at + 1..).unwrap_or_default());
            }
        }
        if self.line.len() > LONGEST_LINE {
            bail!("an answer whose head or chunk line does not end");
        }
        Ok(&[])
    }

    fn head(&mut self, head: &[u8]) -> Result<()> {
        let mut lines = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut lines);
        response.parse(head).context("the head of an answer")?;
        self.status = response.code.context("an answer without a status")?;
        let mut length = None;
        let mut chunked = false;
        for line in response.headers {
            if line.name.eq_ignore_ascii_case("content-length") {
                let value = std::str::from_utf8(line.value)?;
                length = Some(value.trim().parse().context("a Content-Length")?);
            } else if line.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = line.value.eq_ignore_ascii_case(b"chunked");
            } else if line.name.eq_ignore_ascii_case("connection") {
                self.closes = line.value.eq_ignore_ascii_case(b"close");
            }
        }
        self.part = match length {
            _ if chunked => Part::ChunkSize,
            Some(0) => Part::Over,
            Some(length) => Part::Counted(length),
            None => Part::UntilClose,
        };
        self.closes |= self.part == Part::UntilClose;
        Ok(())
    }

    fn chunk_size(&mut self, line: &[u8]) -> Result<()> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = line.get(..digits.count()).unwrap_or_default();
        let size = u64::from_str_radix(std::str::from_utf8(digits)?, 16);
        self.part = match size.context("the size of a chunk")? {
            0 => Part::Trailer,
            size => Part::Chunk(size),
        };
        Ok(())
    }

    fn chunk_end(&mut self, line: &[u8]) -> Result<()> {
        if line != b"\r\n" {
            bail!("a chunk longer than its size");
        }
        self.part = Part::ChunkSize;
        Ok(())
    }

    fn trailer(&mut self, line: &[u8]) -> Result<()> {
        if line == b"\r\n" {
            self.part = Part::Over;
        }
        Ok(())
    }
}

fn up_to(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    bytes.split_at(most.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n1;x=y\r\n \r\n005\r\nworld\r\n0\r\nTrailer: yes\r\n\r\n";
    const COUNTED: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 11\r\n\r\nhello world";
    const CLOSED: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhello world";

    fn read_in_pieces(bytes: &[u8], size: usize) -> (Answer, Vec<u8>) {
        let mut answer = Answer::default();
        let mut body = Vec::new();
        for piece in bytes.chunks(size) {
            let taken = answer.take(piece, &mut |data| body.extend_from_slice(data));
            assert_eq!(taken.unwrap(), piece.len());
        }
        (answer, body)
    }

    #[test]
    fn an_answer_is_the_same_in_pieces_of_any_size() {
        for (bytes, status) in [(CHUNKED, 200), (COUNTED, 403), (CLOSED, 200)] {
            for size in 1..=bytes.len() {
                let (answer, body) = read_in_pieces(bytes, size);
                assert_eq!(body, b"hello world");
                assert_eq!((answer.status, answer.size), (status, 11));
                assert!(answer.is_whole_at_close());
                assert_eq!(answer.is_over(), bytes != CLOSED);
                assert_eq!(answer.closes, bytes == CLOSED);
            }
        }
    }

    #[test]
    fn what_comes_after_an_answer_is_left() {
        let mut answer = Answer::default();
        let mut two = CHUNKED.to_vec();
        two.extend_from_slice(COUNTED);
        assert_eq!(answer.take(&two, &mut |_| {}).unwrap(), CHUNKED.len());
    }

    #[test]
    fn an_answer_cut_short_is_not_whole() {
        for bytes in [CHUNKED, COUNTED] {
            let (answer, _) = read_in_pieces(&bytes[..bytes.len() - 1], 7);
            assert!(!answer.is_over() && !answer.is_whole_at_close());
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert!(Answer::default().take(bytes, &mut |_| {}).is_err());
        }
    }
}

//! Reading answers, whole or as they come.

use std::io::{ErrorKind, Read};

use super::body::{Body, framing};
use super::{Client, gone};
use crate::Headers;
use crate::answer::{Answer, End, Head, Interim};
use crate::scan::test_key_scanner;

/// How far back a scan reaches into what was read before: longer than any form of the key.
const OVERLAP: usize = 256;

/// What one read brought.
enum Fill {
    More,
    Fin,
    Reset,
}

/// Reading.
impl Client {
    /// Reads the head of the next final answer.
    ///
    /// # Panics
    /// When the connection ends before it, or nothing comes.
    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        match self.try_read_head() {
            Some(head) => head,
            None => panic!("the connection ended without an answer after {}", self.last),
        }
    }

    /// Reads the head of the next final answer; `None` when the connection ends before it.
    ///
    /// # Panics
    /// When nothing comes, or something that is not HTTP/1.
    #[track_caller]
    pub fn try_read_head(&mut self) -> Option<Head> {
        let mut interim = Vec::new();
        loop {
            let raw = self.take_past(b"\r\n\r\n").ok()?;
            let mut fields = vec![httparse::EMPTY_HEADER; 4096];
            let mut parsed = httparse::Response::new(&mut fields);
            if let Err(error) = parsed.parse(&raw) {
                panic!(
                    "not an HTTP/1 head ({error}): {:?}",
                    String::from_utf8_lossy(&raw)
                );
            }
            let status = parsed.code.unwrap_or_default();
            let headers: Headers = parsed
                .headers
                .iter()
                .map(|f| (f.name.to_owned(), f.value.to_vec()))
                .collect();
            if (100..200).contains(&status) && status != 101 {
                interim.push(Interim { status, headers });
                continue;
            }
            self.received.clear();
            self.trailers.clear();
            let to_head = std::mem::take(&mut self.sent_head_request);
            self.body = framing(status, to_head, &headers);
            return Some(Head {
                status,
                reason: parsed.reason.unwrap_or_default().to_owned(),
                minor_version: parsed.version.unwrap_or_default(),
                headers,
                interim,
            });
        }
    }

    /// Reads more of the body, at least one byte; `None` at its end, see [`Client::end`].
    ///
    /// # Panics
    /// When nothing comes, or chunks that are malformed.
    #[track_caller]
    pub fn read_body_some(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.body {
                Body::Ended(_) => return None,
                Body::Length(0) => self.finish(End::Clean),
                Body::Length(left) => {
                    if let Some(bytes) = self.take_up_to(left) {
                        self.body = Body::Length(left - bytes.len() as u64);
                        return Some(bytes);
                    }
                }
                Body::Chunk(0) => self.body = Body::ChunkEnd,
                Body::Chunk(left) => {
                    if let Some(bytes) = self.take_up_to(left) {
                        self.body = Body::Chunk(left - bytes.len() as u64);
                        return Some(bytes);
                    }
                }
                Body::ToClose => {
                    if let Some(bytes) = self.take_up_to(u64::MAX) {
                        return Some(bytes);
                    }
                }
                Body::ChunkSize | Body::ChunkEnd | Body::Trailers => {
                    match self.take_past(b"\r\n") {
                        Ok(line) => self.chunk_line(&line[..line.len() - 2]),
                        Err(_) => self.finish(End::Cut),
                    }
                }
            }
        }
    }

    #[track_caller]
    fn chunk_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        self.body = match self.body {
            Body::ChunkEnd if line.is_empty() => Body::ChunkSize,
            Body::ChunkEnd => panic!("a chunk longer than announced: {text:?}"),
            Body::Trailers if line.is_empty() => return self.finish(End::Clean),
            Body::Trailers => {
                let (name, value) = text.split_once(':').expect("a trailer field");
                self.trailers
                    .push((name.to_owned(), value.trim().as_bytes().to_vec()));
                Body::Trailers
            }
            _ => match u64::from_str_radix(&text, 16) {
                Ok(0) => Body::Trailers,
                Ok(size) => Body::Chunk(size),
                Err(_) => panic!("not a chunk size: {text:?}"),
            },
        };
    }

    /// Reads until `text` is in the body and returns the whole body so far. Comes after
    /// [`Client::read_head`].
    ///
    /// # Panics
    /// When the body ends without it, or nothing comes.
    #[track_caller]
    pub fn wait_for_body(&mut self, text: &str) -> Vec<u8> {
        while !self
            .received
            .windows(text.len().max(1))
            .any(|part| part == text.as_bytes())
        {
            if self.read_body_some().is_none() {
                let body = String::from_utf8_lossy(&self.received);
                panic!(
                    "the body ended ({:?}) without {text:?}: {body:?}",
                    self.end()
                );
            }
        }
        self.received.clone()
    }

    /// The body of the current answer so far.
    #[must_use]
    pub fn body_so_far(&self) -> &[u8] {
        &self.received
    }

    /// How the body ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self.body {
            Body::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Reads the next answer to its end.
    ///
    /// # Panics
    /// When the connection ends before its head, or nothing comes.
    #[track_caller]
    pub fn read_answer(&mut self) -> Answer {
        let head = self.read_head();
        self.finish_answer(head)
    }

    /// Reads the next answer to its end; `None` when the connection ends before its head.
    #[track_caller]
    pub fn try_read_answer(&mut self) -> Option<Answer> {
        let head = self.try_read_head()?;
        Some(self.finish_answer(head))
    }

    /// Reads the rest of the answer whose head was read.
    ///
    /// # Panics
    /// When nothing comes.
    #[track_caller]
    pub fn finish_answer(&mut self, head: Head) -> Answer {
        while self.read_body_some().is_some() {}
        let Body::Ended(end) = self.body else {
            unreachable!("the body has ended")
        };
        Answer {
            status: head.status,
            reason: head.reason,
            headers: head.headers,
            body: std::mem::take(&mut self.received),
            trailers: std::mem::take(&mut self.trailers),
            interim: head.interim,
            end,
        }
    }

    /// Reads whatever still comes until the connection ends: `Clean` by FIN, `Cut` by RST.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn read_to_close(&mut self) -> (Vec<u8>, End) {
        loop {
            let end = match self.fill() {
                Fill::More => continue,
                Fill::Fin => End::Clean,
                Fill::Reset => End::Cut,
            };
            return (std::mem::take(&mut self.buffer), end);
        }
    }

    /// Takes body bytes; `None` when the connection ended instead.
    #[track_caller]
    fn take_up_to(&mut self, most: u64) -> Option<Vec<u8>> {
        if self.buffer.is_empty() {
            match self.fill() {
                Fill::More => {}
                Fill::Fin if matches!(self.body, Body::ToClose) => {
                    self.finish(End::Clean);
                    return None;
                }
                Fill::Fin | Fill::Reset => {
                    self.finish(End::Cut);
                    return None;
                }
            }
        }
        let n = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        let bytes: Vec<u8> = self.buffer.drain(..n).collect();
        self.received.extend_from_slice(&bytes);
        Some(bytes)
    }

    /// Takes everything up to and with a mark.
    #[track_caller]
    fn take_past(&mut self, mark: &[u8]) -> Result<Vec<u8>, End> {
        loop {
            if let Some(at) = self
                .buffer
                .windows(mark.len())
                .position(|part| part == mark)
            {
                return Ok(self.buffer.drain(..at + mark.len()).collect());
            }
            match self.fill() {
                Fill::More => {}
                Fill::Fin => return Err(End::Clean),
                Fill::Reset => return Err(End::Cut),
            }
        }
    }

    fn finish(&mut self, end: End) {
        self.body = Body::Ended(end);
        if self.scan {
            // Once more without the framing, which may have stood within the key.
            self.assert_clean(&self.received, "the body of an answer");
        }
    }

    #[track_caller]
    fn assert_clean(&self, bytes: &[u8], what: &str) {
        test_key_scanner().assert_clean_besides(bytes, &self.known, what);
    }

    /// Everything read and not consumed yet, once `text` is in it: the framing of a body too.
    /// Comes without [`Client::read_head`], before [`Client::read_to_close`].
    ///
    /// # Panics
    /// When the connection ends without it, or nothing comes.
    #[track_caller]
    pub fn wait_for_raw(&mut self, text: &str) -> &[u8] {
        while !self
            .buffer
            .windows(text.len().max(1))
            .any(|part| part == text.as_bytes())
        {
            match self.fill() {
                Fill::More => {}
                Fill::Fin | Fill::Reset => panic!(
                    "the connection ended without {text:?}: {:?}",
                    String::from_utf8_lossy(&self.buffer)
                ),
            }
        }
        &self.buffer
    }

    #[track_caller]
    fn fill(&mut self) -> Fill {
        let mut bytes = vec![0; 64 << 10];
        // Set before each read, as a test may have changed it on a shared handle.
        self.stream
            .set_read_timeout(Some(self.deadline))
            .expect("a read timeout");
        match self.stream.read(&mut bytes) {
            Ok(0) => Fill::Fin,
            Ok(n) => {
                self.buffer.extend_from_slice(&bytes[..n]);
                self.tail.extend_from_slice(&bytes[..n]);
                if self.scan {
                    self.assert_clean(&self.tail, "what the client read");
                }
                let old = self.tail.len().saturating_sub(OVERLAP);
                self.tail.drain(..old);
                Fill::More
            }
            Err(error) if gone(&error) => Fill::Reset,
            // This process was stopped meanwhile (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => Fill::More,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!(
                    "the proxy hung: nothing for {:?} after {}; unread {:?}, body so far {} bytes",
                    self.deadline,
                    self.last,
                    String::from_utf8_lossy(&self.buffer),
                    self.received.len()
                )
            }
            Err(error) => panic!("reading failed ({error}) after {}", self.last),
        }
    }
}

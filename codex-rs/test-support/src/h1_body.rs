//! Reads the requests of one HTTP/1 connection and writes them into the journal.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};

use crate::Headers;
use crate::gate::Gate;
use crate::h1_head::{BodyLength, head_end, read_head};
use crate::journal::Journal;
use crate::recorded::RecordedRequest;
use crate::wire::Wire;

/// A head longer than this is not read to its end.
const MAX_HEAD: usize = 4 << 20;

/// A request whose head is in, for the task that answers it.
pub(crate) enum Call {
    /// `complete` fires when its body is in, and is dropped if that never happens.
    Request {
        index: usize,
        complete: oneshot::Receiver<()>,
    },
    /// Not a request that could be answered.
    Malformed { index: usize },
}

/// Why reading stopped.
enum Stop {
    /// The peer closed or the connection broke.
    Gone,
    /// The bytes make no sense.
    Malformed(String),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// The reading side of one connection.
pub(crate) struct Reader {
    pub(crate) wire: Wire,
    pub(crate) connection: usize,
    pub(crate) journal: Arc<Journal>,
    pub(crate) hold_body: Option<Gate>,
    pub(crate) calls: mpsc::UnboundedSender<Call>,
    pub(crate) buffer: BytesMut,
}

impl Reader {
    /// Reads requests until the peer is gone.
    pub(crate) async fn run(mut self) {
        while self.one_request().await.is_ok() {}
        // A malformed request is answered; whatever follows it is not looked at.
        let mut waste = [0; 4096];
        while matches!(self.wire.read(&mut waste).await, Ok(1..)) {}
        self.journal.peer_gone(self.connection);
    }

    async fn one_request(&mut self) -> Result<(), ()> {
        let raw = match self.raw_head().await {
            Ok(raw) => raw,
            Err(Stop::Gone) if self.buffer.is_empty() => return Err(()),
            Err(stop) => {
                let raw_head = self.buffer.to_vec();
                return self.refuse(
                    RecordedRequest {
                        raw_head,
                        ..RecordedRequest::empty()
                    },
                    stop,
                );
            }
        };
        let (mut request, length) = read_head(&raw);
        request.connection = self.connection;
        let length = match length {
            Ok(length) => length,
            Err(why) => return self.refuse(request, Stop::Malformed(why)),
        };
        let index = self.journal.record(request);
        let (done, complete) = oneshot::channel();
        // The answering task may have closed the connection already: go on recording.
        drop(self.calls.send(Call::Request { index, complete }));

        if length != BodyLength::Exactly(0)
            && let Some(gate) = self.hold_body.clone()
        {
            gate.pass().await;
        }
        match self.body(index, length).await {
            Ok(trailers) => {
                self.journal.complete(index, trailers);
                // Nobody waits for the end of a body that was answered early.
                let _ = done.send(());
                Ok(())
            }
            Err(Stop::Gone) => Err(()),
            Err(Stop::Malformed(why)) => {
                self.journal.malformed(index, why);
                Err(())
            }
        }
    }

    fn refuse(&self, mut request: RecordedRequest, stop: Stop) -> Result<(), ()> {
        request.connection = self.connection;
        request.malformed = Some(match stop {
            Stop::Gone => "the connection ended inside the head".to_owned(),
            Stop::Malformed(why) => why,
        });
        let index = self.journal.record(request);
        drop(self.calls.send(Call::Malformed { index }));
        Err(())
    }

    async fn raw_head(&mut self) -> Result<BytesMut, Stop> {
        loop {
            if let Some(end) = head_end(&self.buffer) {
                return Ok(self.buffer.split_to(end));
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Stop::Malformed(format!(
                    "a head of more than {MAX_HEAD} bytes"
                )));
            }
            self.fill().await?;
        }
    }

    async fn body(&mut self, index: usize, length: BodyLength) -> Result<Headers, Stop> {
        match length {
            BodyLength::Exactly(length) => {
                self.pass_on(index, length).await?;
                Ok(Headers::new())
            }
            BodyLength::Chunked => loop {
                let size = self.line().await?;
                let size = chunk_size(&size)?;
                if size == 0 {
                    return self.trailers().await;
                }
                self.pass_on(index, size).await?;
                if !self.line().await?.is_empty() {
                    return Err(Stop::Malformed("a chunk longer than announced".to_owned()));
                }
            },
        }
    }

    /// Records the next `left` bytes.
    async fn pass_on(&mut self, index: usize, mut left: u64) -> Result<(), Stop> {
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let take = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            self.journal.body(index, &self.buffer[..take]);
            self.buffer.advance(take);
            left -= take as u64;
        }
        Ok(())
    }

    async fn trailers(&mut self) -> Result<Headers, Stop> {
        let mut trailers = Headers::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(trailers);
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(Stop::Malformed(format!("trailer {line:?}")));
            };
            trailers.push((name.to_owned(), value.trim().as_bytes().to_vec()));
        }
    }

    /// The next line without its CRLF.
    async fn line(&mut self) -> Result<String, Stop> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return match line.strip_suffix(b"\r\n") {
                    Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
                    None => Err(Stop::Malformed("a chunk line with a bare LF".to_owned())),
                };
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Stop::Malformed("an endless chunk line".to_owned()));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Stop> {
        self.buffer.reserve(64 << 10);
        match self.wire.read_buf(&mut self.buffer).await? {
            0 => Err(Stop::Gone),
            _ => Ok(()),
        }
    }
}

fn chunk_size(line: &str) -> Result<u64, Stop> {
    let digits = line.split(';').next().unwrap_or_default();
    if (1..=16).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && let Ok(size) = u64::from_str_radix(digits, 16)
    {
        return Ok(size);
    }
    Err(Stop::Malformed(format!("chunk size {line:?}")))
}

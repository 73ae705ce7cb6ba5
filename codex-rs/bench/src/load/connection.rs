//! One client: a connection, and requests on it one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Answer;
use crate::job::Job;

/// How long anything that has to come may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A whole request with a body of `size` bytes, ready to be written.
pub(crate) fn request(job: Job, size: usize, bearer: &str) -> Vec<u8> {
    let body = job.body(size);
    let mut request = format!(
        "POST /v1/responses HTTP/1.1\r\n\
         Host: 127.0.0.1\r\n\
         Authorization: Bearer {bearer}\r\n\
         Content-Type: application/json\r\n\
         Accept: text/event-stream\r\n\
         User-Agent: codex-bench\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}

/// A keep-alive connection.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Box<[u8]>,
}

impl Connection {
    /// Connects, and will read up to `room` bytes at once.
    ///
    /// # Errors
    /// When the other side does not accept.
    pub(crate) async fn open(address: SocketAddr, room: usize) -> Result<Self> {
        let stream = connect(address).await?;
        let buffer = vec![0; room].into_boxed_slice();
        Ok(Self {
            address,
            stream,
            buffer,
        })
    }

    /// Sends a request and reads its answer to the end, handing on the body as it comes.
    /// Connects again when the other side said that it would close.
    ///
    /// # Errors
    /// When the answer is not a whole 200.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        body: impl FnMut(&[u8]),
    ) -> Result<Answer> {
        let exchange = async {
            self.send(request).await?;
            let mut answer = Answer::default();
            self.receive(&mut answer, body, Answer::is_over).await?;
            if answer.closes {
                self.stream = connect(self.address).await?;
            }
            Ok(answer)
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .context("no whole answer")?
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the other side does not take it.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream
            .write_all(request)
            .await
            .context("the request cannot be sent")
    }

    /// Reads an answer until it is over or `enough`.
    ///
    /// # Errors
    /// When it is cut short, or not a 200.
    pub(crate) async fn receive(
        &mut self,
        answer: &mut Answer,
        mut body: impl FnMut(&[u8]),
        enough: impl Fn(&Answer) -> bool,
    ) -> Result<()> {
        loop {
            let n = self
                .stream
                .read(&mut self.buffer)
                .await
                .context("while reading")?;
            if n == 0 {
                if answer.is_whole_at_close() {
                    return Ok(());
                }
                bail!(
                    "the answer was cut short after {} bytes of body",
                    answer.size
                );
            }
            let here = self.buffer.get(..n).unwrap_or_default();
            answer.take(here, &mut body)?;
            if !matches!(answer.status, 0 | 200) {
                bail!("status {}", answer.status);
            }
            if answer.is_over() || enough(answer) {
                return Ok(());
            }
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .context("cannot connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

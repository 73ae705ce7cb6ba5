//! HTTP/1.1, just as much as proxies speak to an upstream.

use std::io;
use std::io::ErrorKind::{InvalidData, UnexpectedEof};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::answers::{HEAD, LAST_CHUNK, chunk, stamped, stamped_now};
use super::{Shared, say};
use crate::clock::now_ns;
use crate::job::{Job, SHORTEST_BODY};

/// Room for a request that is only a head and a small body, in bytes.
const SMALL: usize = 4 << 10;
/// Room for reading large bodies.
const LARGE: usize = 256 << 10;
/// The most header lines of a request.
const MAX_HEADERS: usize = 64;

const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";

/// Serves a connection until its end.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let mut connection = Connection {
        stream,
        buffer: BytesMut::with_capacity(SMALL),
        shared,
    };
    loop {
        match connection.exchange().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) if error.kind() == InvalidData => return say(format_args!("fault {error}")),
            // Callers that leave are what some scenarios consist of.
            Err(_left) => return,
        }
    }
}

struct Connection<'a, S> {
    stream: S,
    buffer: BytesMut,
    shared: &'a Shared,
}

/// What of a request head matters here.
struct Head {
    length: usize,
    is_post: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// One request and its answer; `false` when the caller has closed in good order.
    async fn exchange(&mut self) -> io::Result<bool> {
        let Some((head, arrived)) = self.read_head().await? else {
            return Ok(false);
        };
        let job = self.read_body(head.length).await?;
        if !head.is_post {
            self.stream.write_all(REFUSED).await?;
            return Ok(true);
        }
        let job = job.ok_or_else(|| io::Error::new(InvalidData, "a body without a job"))?;
        self.answer(job, arrived).await?;
        Ok(true)
    }

    /// The next head and when its first bytes were here; `None` at the end.
    async fn read_head(&mut self) -> io::Result<Option<(Head, u64)>> {
        let mut arrived = 0;
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = self.parse(end + 4)?;
                self.buffer.advance(end + 4);
                return Ok(Some((head, arrived)));
            }
            self.buffer.reserve(SMALL);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
            if arrived == 0 {
                arrived = now_ns();
            }
        }
    }

    fn parse(&self, end: usize) -> io::Result<Head> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut lines);
        let head = self.buffer.get(..end).unwrap_or_default();
        request
            .parse(head)
            .map_err(|error| io::Error::new(InvalidData, error))?;
        let value = |name: &str| {
            let mut all = request.headers.iter();
            all.find(|line| line.name.eq_ignore_ascii_case(name))
                .map(|line| line.value)
        };
        if value("transfer-encoding").is_some() {
            let what = "a chunked request: the load sends a Content-Length, which should be kept";
            return Err(io::Error::new(InvalidData, what));
        }
        let length =
            value("content-length").map(|value| std::str::from_utf8(value).map(str::parse));
        let length = match length {
            None => 0,
            Some(Ok(Ok(length))) => length,
            Some(_) => {
                return Err(io::Error::new(
                    InvalidData,
                    "a Content-Length that is not a number",
                ));
            }
        };
        let is_post = request.method == Some("POST");
        if is_post {
            self.shared.judge(value("authorization"));
        }
        Ok(Head { length, is_post })
    }

    /// Reads a body to its end and says what it asked for.
    async fn read_body(&mut self, length: usize) -> io::Result<Option<Job>> {
        while self.buffer.len() < length.min(SHORTEST_BODY) {
            self.fill(SMALL).await?;
        }
        let job = Job::parse(&self.buffer);
        let mut left = length;
        loop {
            let here = left.min(self.buffer.len());
            self.buffer.advance(here);
            left -= here;
            if left == 0 {
                return Ok(job);
            }
            self.fill(if left > SMALL { LARGE } else { SMALL }).await?;
        }
    }

    async fn fill(&mut self, room: usize) -> io::Result<()> {
        if self.buffer.capacity() - self.buffer.len() < room / 2 {
            self.buffer.reserve(room);
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn answer(&mut self, job: Job, arrived: u64) -> io::Result<()> {
        match job {
            Job::AtOnce { events, size } => {
                let answer = self.shared.answers.get(events, size);
                if let Some(whole) = answer.whole {
                    return self.write(&whole).await;
                }
                self.write(HEAD).await?;
                for _ in 0..answer.before_last {
                    self.write(&answer.chunk).await?;
                }
                if !answer.last.is_empty() {
                    self.write(&chunk(&answer.last)).await?;
                }
            }
            Job::OneByOne { events, size } => {
                let answer = self.shared.answers.get(events, size);
                self.write(HEAD).await?;
                for _ in 0..events {
                    self.write(&answer.chunk).await?;
                    tokio::task::yield_now().await;
                }
            }
            Job::Ticks {
                number,
                period,
                phase,
            } => {
                self.write(HEAD).await?;
                let gone = self.tick(period, phase).await;
                self.shared.gone(number);
                return gone;
            }
            Job::Silent { number } => {
                self.begin(&stamped_now()).await?;
                let gone = self.wait_for_end().await;
                self.shared.gone(number);
                return gone;
            }
            Job::Late { hold } => {
                self.begin(&stamped(arrived)).await?;
                sleep(Duration::from_millis(hold.into())).await;
            }
        }
        self.write(LAST_CHUNK).await
    }

    /// The head and the first event, in one write.
    async fn begin(&mut self, event: &[u8]) -> io::Result<()> {
        let first = [HEAD, &chunk(event)].concat();
        self.write(&first).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        // TLS keeps what a full socket did not take; TCP has nothing to flush.
        self.stream.flush().await
    }

    /// Writes stamped events until the caller goes, which is the error returned.
    async fn tick(&mut self, period: u32, phase: u32) -> io::Result<()> {
        let mut ticks = interval_at(next(period, phase), Duration::from_millis(period.into()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                end = self.stream.read_buf(&mut self.buffer) => return Err(left(end)),
                _ = ticks.tick() => {}
            }
            let event: Bytes = chunk(&stamped_now());
            self.write(&event).await?;
        }
    }

    async fn wait_for_end(&mut self) -> io::Result<()> {
        Err(left(self.stream.read_buf(&mut self.buffer).await))
    }
}

/// The next time at which the clock has this phase of the period.
pub(super) fn next(period: u32, phase: u32) -> Instant {
    let period = u64::from(period.max(1)) * 1_000_000;
    let into = now_ns() % period;
    let phase = u64::from(phase) * 1_000_000 % period;
    Instant::now() + Duration::from_nanos((phase + period - into) % period)
}

fn left(end: io::Result<usize>) -> io::Error {
    match end {
        Ok(0) => UnexpectedEof.into(),
        Ok(_) => io::Error::new(
            InvalidData,
            "a second request before the answer to the first",
        ),
        Err(error) => error,
    }
}

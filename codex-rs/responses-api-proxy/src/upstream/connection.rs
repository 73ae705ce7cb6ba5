//! One connection to the upstream that speaks HTTP, with every limit of the protocol set on purpose.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use codex_deadline::Timer;
use http::Request;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::upstream::error::UpstreamError;

use super::SentBody;
use super::connector::{Connector, Established};
use super::driver::{Driver, Loan};
use super::outgoing_heads::OutgoingHeads;
use super::pool::{Connect, Pooled};
use super::resets::ResetBudget;
use super::transport::{Outgoing, Transport};
use super::windows::STREAM_WINDOW;

/// The most header lines of an answer, and its longest head, in bytes.
pub(crate) const MAX_ANSWER_HEADERS: usize = 256;
const MAX_ANSWER_HEAD: u32 = 256 * 1024;

/// Of all answers on one connection, the most there can be (RFC 9113, section
/// 6.9.1): a caller that does not read holds back its own answer and no other.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How much of one request body may wait to be written to an upstream that does not read, in bytes.
const SEND_BUFFER: usize = 16 * 1024;

/// Nothing is kept of header fields that repeat (RFC 9113, section 6.5.2), so that trailers can wait while
/// other answers begin (`windows.rs`).
const HEADER_TABLE: u32 = 0;
/// The longest frame, in bytes (RFC 9113, section 4.2: the smallest that a server has to be granted).
const MAX_FRAME: u32 = 16 * 1024;

/// Streams that a server may open by itself: pushes, which are switched off.
const PUSHED_STREAMS: u32 = 0;

/// How many streams a server is taken to allow that does not say (RFC 9113, section 6.5.2: no limit, and
/// 100 or more is advised).
const STREAMS_UNTIL_TOLD: usize = 100;

/// Requests at once on one connection, where the server allows as many; RFC 9113, section 6.5.2 advises
/// it to allow 100 or more.
const MAX_STREAMS: usize = 75;

/// With answers open on an HTTP/2 connection, how often it is asked whether it still
/// lives, and how long it may take to say so. Over HTTP/1.1 the kernel asks.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// A stream that was reset is remembered for this long, and so many of them: what the server had sent
/// before it knew is ignored. More than the budget of resets lets there be.
const RESETS_REMEMBERED_FOR: Duration = Duration::from_secs(60);
const RESETS_REMEMBERED: usize = 2_048;

/// So many frames for streams that are forgotten are borne in a connection's life; then it ends. It is
/// one caller's connection, and no server that honours a reset sends any.
const MAX_STRAY_FRAMES: usize = 16_384;

/// So many of a server's own resets may wait to be looked at (h2's default, as for servers).
const MAX_RESETS_BY_SERVER: usize = 20;

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    protocol: Protocol,
    outgoing: Outgoing,
}

#[derive(Clone)]
enum Protocol {
    Http1 {
        sender: Arc<Mutex<http1::SendRequest<SentBody>>>,
        driver: Driver<Http1Connection>,
    },
    Http2 {
        sender: http2::SendRequest<SentBody>,
        driver: Driver<Http2Connection>,
        /// How many requests the server allowed at once when that was last seen.
        allowed: Arc<AtomicUsize>,
        resets: Arc<ResetBudget>,
    },
}

type Http1Connection = http1::Connection<TokioIo<Transport>, SentBody>;
type Http2Connection = http2::Connection<TokioIo<Transport>, SentBody, TokioExecutor>;

/// The connection of one exchange, driven by whoever reads its answer.
pub(super) struct OwnDrive(Loan<Http1Connection>);

impl OwnDrive {
    /// Does what there is to do on the connection now.
    pub(super) fn drive(&self, cx: &mut Context<'_>) {
        self.0.drive(cx);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// Speaks HTTP over what was established.
    ///
    /// # Errors
    ///
    /// The [`UpstreamError`] if the connection ends before anything was said.
    async fn begin(transport: Transport, is_http_2: bool) -> Result<Self, UpstreamError> {
        let outgoing = transport.outgoing();
        let io = TokioIo::new(transport);
        let protocol = if is_http_2 {
            let begun = http2_builder().handshake(io).await;
            let (sender, connection) = begun.map_err(|error| UpstreamError::from_error(&error))?;
            Protocol::Http2 {
                sender,
                allowed: Arc::new(AtomicUsize::new(connection.current_max_send_streams())),
                driver: Driver::spawn(connection),
                resets: Arc::new(ResetBudget::new()),
            }
        } else {
            let begun = http1_builder().handshake(io).await;
            let (sender, connection) = begun.map_err(|error| UpstreamError::from_error(&error))?;
            Protocol::Http1 {
                sender: Arc::new(Mutex::new(sender)),
                driver: Driver::spawn(connection),
            }
        };
        Ok(Self { protocol, outgoing })
    }

    pub(super) fn is_http_2(&self) -> bool {
        matches!(self.protocol, Protocol::Http2 { .. })
    }

    /// How far writing has come, where hyper keeps more of a request body than is wanted: over HTTP/1.1
    /// up to sixteen pieces of it.
    pub(crate) fn outgoing(&self) -> Option<&Outgoing> {
        match &self.protocol {
            Protocol::Http1 { .. } => Some(&self.outgoing),
            Protocol::Http2 { .. } => None,
        }
    }

    /// The heads of requests that this connection has still to encrypt.
    pub(super) fn outgoing_heads(&self) -> &OutgoingHeads {
        self.outgoing.heads()
    }

    /// The budget of resets, where giving up a request takes one.
    pub(crate) fn resets(&self) -> Option<&Arc<ResetBudget>> {
        match &self.protocol {
            Protocol::Http1 { .. } => None,
            Protocol::Http2 { resets, .. } => Some(resets),
        }
    }

    /// Ends an HTTP/1.1 connection, whose one request is given up. hyper would first write what is left to
    /// write, which an upstream that does not read never takes.
    pub(super) fn end(&self) {
        if let Protocol::Http1 { driver, .. } = &self.protocol {
            driver.end();
        }
    }

    /// Leaves driving the connection to whoever reads the answer, where only one is read from it, and
    /// nothing is left to write.
    pub(super) fn lend(&self) -> Option<OwnDrive> {
        match &self.protocol {
            Protocol::Http1 { driver, .. } if self.outgoing.is_flushed() => {
                Some(OwnDrive(driver.lend()))
            }
            _ => None,
        }
    }

    /// Sends a request; the error has it back if nothing of it was sent.
    pub(super) fn send(
        &self,
        request: Request<SentBody>,
    ) -> impl Future<Output = Result<http::Response<Incoming>, TrySendError<Request<SentBody>>>>
    + Send
    + use<> {
        let sent = match &self.protocol {
            Protocol::Http1 { sender, .. } => Sent::Http1(lock(sender).try_send_request(request)),
            Protocol::Http2 { sender, .. } => Sent::Http2(sender.clone().try_send_request(request)),
        };
        async move {
            match sent {
                Sent::Http1(answer) => answer.await,
                Sent::Http2(answer) => answer.await,
            }
        }
    }
}

/// The two kinds of answer to come.
enum Sent<A, B> {
    Http1(A),
    Http2(B),
}

impl Pooled for Connection {
    fn is_open(&self) -> bool {
        let is_closed = match &self.protocol {
            Protocol::Http1 { sender, .. } => lock(sender).is_closed(),
            Protocol::Http2 { sender, .. } => sender.is_closed(),
        };
        !is_closed && !self.outgoing.has_failed()
    }

    fn is_ready(&self) -> bool {
        match &self.protocol {
            Protocol::Http1 { sender, .. } => lock(sender).is_ready(),
            Protocol::Http2 { .. } => true,
        }
    }

    fn capacity(&self) -> usize {
        match &self.protocol {
            Protocol::Http1 { .. } => 1,
            Protocol::Http2 {
                driver, allowed, ..
            } => {
                let seen = driver.try_look(Http2Connection::current_max_send_streams);
                if let Some(seen) = seen {
                    allowed.store(seen.unwrap_or(0), Ordering::Relaxed);
                }
                let allowed = allowed.load(Ordering::Relaxed);
                // A quarter is left for requests that were given up, which the server counts until
                // it knows.
                (allowed - allowed / 4).min(MAX_STREAMS)
            }
        }
    }

    fn is_multiplexed(&self) -> bool {
        self.is_http_2()
    }
}

impl Connect for Connector {
    type Connection = Connection;

    async fn connect(
        &self,
    ) -> Result<(Connection, impl Future<Output = ()> + Send), UpstreamError> {
        let Established {
            transport,
            is_http_2,
            first_bytes,
        } = Self::connect(self).await?;
        let connection = Connection::begin(transport, is_http_2).await?;
        Ok((connection, async move { drop(first_bytes.await) }))
    }

    fn is_multiplexed(&self) -> Option<bool> {
        self.is_http_1().then_some(false)
    }

    fn expected_capacity() -> usize {
        MAX_STREAMS
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .http09_responses(false)
        .allow_obsolete_multiline_headers_in_responses(false)
        .ignore_invalid_headers_in_responses(false)
        .max_headers(MAX_ANSWER_HEADERS)
        .max_buf_size(MAX_ANSWER_HEAD as usize);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(Timer)
        .max_header_list_size(MAX_ANSWER_HEAD)
        .header_table_size(HEADER_TABLE)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(PUSHED_STREAMS)
        .initial_max_send_streams(STREAMS_UNTIL_TOLD)
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWERED_WITHIN)
        .keep_alive_while_idle(false)
        .reset_stream_duration(RESETS_REMEMBERED_FOR)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_local_error_reset_streams(MAX_STRAY_FRAMES)
        .max_pending_accept_reset_streams(MAX_RESETS_BY_SERVER);
    builder
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use tokio::net::{TcpListener, TcpStream};

    use crate::upstream::stream::Stream;

    use super::*;

    /// Requests end within a poll, and their places are given to others there.
    #[tokio::test]
    async fn what_the_pool_asks_is_known_while_the_connection_is_polled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (_far, _) = listener.accept().await.unwrap();
        let (transport, _) = Transport::new(Stream::Tcp(near.unwrap()), true);
        let connection = Connection::begin(transport, true).await.unwrap();
        let (answer, answered) = mpsc::channel();
        // In a thread of its own, which a lock that is taken twice stops for ever.
        thread::spawn(move || {
            let Protocol::Http2 { driver, .. } = &connection.protocol else {
                return;
            };
            let known = driver.while_polled(|| {
                let is_usable = connection.is_open() && connection.is_ready();
                (is_usable, connection.capacity())
            });
            answer.send(known).unwrap();
        });
        let known = answered.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(known, (true, MAX_STREAMS));
    }
}

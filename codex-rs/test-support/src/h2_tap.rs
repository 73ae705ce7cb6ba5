//! Watches the frames an HTTP/2 connection really writes. The h2 crate queues what it is given
//! and forgets the queue when a stream is reset; a cut after exactly n bytes needs to know that
//! they are out, and its head too.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::wait::lock;
use crate::wire::Wire;

/// What was written for one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amount {
    /// Heads, interim ones and trailers.
    pub(crate) heads: u64,
    /// Body bytes.
    pub(crate) bytes: u64,
}

/// What was flushed so far, by stream.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    by_stream: Mutex<HashMap<u32, Amount>>,
    changed: Notify,
}

impl Sent {
    /// Waits until that much of the stream was flushed.
    pub(crate) async fn reached(&self, stream: u32, wanted: Amount) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let sent = lock(&self.by_stream)
                .get(&stream)
                .copied()
                .unwrap_or_default();
            if sent.heads >= wanted.heads && sent.bytes >= wanted.bytes {
                return;
            }
            changed.await;
        }
    }
}

/// The connection as h2 sees it.
pub(crate) struct Tap {
    wire: Wire,
    sent: Arc<Sent>,
    frames: Frames,
}

impl Tap {
    pub(crate) fn new(wire: Wire) -> (Self, Arc<Sent>) {
        let sent = Arc::new(Sent::default());
        (
            Self {
                wire,
                sent: Arc::clone(&sent),
                frames: Frames::default(),
            },
            sent,
        )
    }
}

/// Frame types (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Follows the frames of a byte stream (RFC 9113 section 4.1).
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    payload_left: usize,
    /// Seen and not yet flushed.
    unflushed: Vec<(u32, Amount)>,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.header.len() < 9 {
                let take = bytes.len().min(9 - self.header.len());
                self.header.extend_from_slice(&bytes[..take]);
                bytes = &bytes[take..];
                if let [a, b, c, kind, _, stream @ ..] = &self.header[..]
                    && let Ok(stream) = <[u8; 4]>::try_from(stream)
                {
                    self.payload_left = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                    if *kind == HEADERS {
                        let amount = Amount { heads: 1, bytes: 0 };
                        self.unflushed.push((u32::from_be_bytes(stream), amount));
                    }
                }
            } else {
                let take = bytes.len().min(self.payload_left);
                self.payload_left -= take;
                bytes = &bytes[take..];
                if let [_, _, _, DATA, _, a, b, c, d] = self.header[..] {
                    let amount = Amount {
                        heads: 0,
                        bytes: take as u64,
                    };
                    self.unflushed
                        .push((u32::from_be_bytes([a, b, c, d]), amount));
                }
            }
            if self.header.len() == 9 && self.payload_left == 0 {
                self.header.clear();
            }
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.wire).poll_write(cx, buf))?;
        self.frames.follow(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.wire).poll_flush(cx))?;
        let news = std::mem::take(&mut self.frames.unflushed);
        if !news.is_empty() {
            let mut by_stream = lock(&self.sent.by_stream);
            for (stream, amount) in news {
                let sent = by_stream.entry(stream).or_default();
                sent.heads += amount.heads;
                sent.bytes += amount.bytes;
            }
            drop(by_stream);
            self.sent.changed.notify_waiters();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

//! What a server may send: no more than an answer can be long, so that one that means harm cannot fill this host's memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that may come between two questions, in bytes: many times what 1,000 names of keys take.
const MAX: usize = 4 << 20;

/// A stream on which no more than [`MAX`] bytes come between two writes.
pub(crate) struct Bounded<S> {
    stream: S,
    read: usize,
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before);
        self.read = self.read.saturating_add(read);
        Poll::Ready(if self.read > MAX {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it sends more than any answer is long",
            ))
        } else {
            Ok(())
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.read = 0;
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_comes_between_two_questions_has_an_end() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let mut near = Bounded::new(near);
        let flood = tokio::spawn(async move {
            let piece = vec![b'x'; 64 * 1024];
            while far.write_all(&piece).await.is_ok() {}
        });
        let mut data = vec![0; MAX];
        for _ in 0..2 {
            near.read_exact(&mut data).await.unwrap();
            near.write_all(b"PING").await.unwrap();
        }
        near.read_exact(&mut data).await.unwrap();
        let error = near.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(near);
        flood.await.unwrap();
    }
}

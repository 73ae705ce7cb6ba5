//! One accepted connection, shared by the task that reads it and the one that writes it, and the
//! ways to end it.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::server::TlsStream;

use crate::step::CutKind;
use crate::wait::lock;

/// How long a closed connection is still read, so that unread bytes do not turn its FIN into a
/// reset.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A handle on a connection. All clones are the same connection.
#[derive(Clone)]
pub(crate) struct Wire {
    /// `None` once it is closed.
    io: Arc<Mutex<Option<Io>>>,
    /// The same socket below TLS.
    raw: Arc<Mutex<Option<std::net::TcpStream>>>,
}

/// Gives back the stream with a second handle on its socket.
pub(crate) fn split_raw(tcp: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    tcp.set_nodelay(true)?;
    let std = tcp.into_std()?;
    let raw = std.try_clone()?;
    Ok((TcpStream::from_std(std)?, raw))
}

impl Wire {
    pub(crate) fn plain(tcp: TcpStream, raw: std::net::TcpStream) -> Self {
        Self::new(Io::Plain(tcp), raw)
    }

    pub(crate) fn tls(tls: TlsStream<TcpStream>, raw: std::net::TcpStream) -> Self {
        Self::new(Io::Tls(Box::new(tls)), raw)
    }

    fn new(io: Io, raw: std::net::TcpStream) -> Self {
        Self {
            io: Arc::new(Mutex::new(Some(io))),
            raw: Arc::new(Mutex::new(Some(raw))),
        }
    }

    /// Ends our side. After `Reset` the socket is gone; after the others the peer can still send.
    pub(crate) async fn end(&mut self, kind: CutKind) {
        match kind {
            // The peer may be gone already: then there is nothing left to end.
            CutKind::Fin => drop(self.shutdown().await),
            CutKind::TlsTruncate => {
                if let Some(raw) = lock(&self.raw).as_ref() {
                    drop(raw.shutdown(Shutdown::Write));
                }
            }
            CutKind::Reset => {
                if let Some(raw) = lock(&self.raw).take() {
                    let socket = TcpSocket::from_std_stream(raw);
                    socket
                        .set_zero_linger()
                        .expect("SO_LINGER on our own socket");
                }
                self.close();
            }
            CutKind::RstStream(_) | CutKind::GoAway(_) => {
                panic!("{kind:?} is scripted for an HTTP/1 connection")
            }
        }
    }

    /// Reads what the peer still sends, until it closes or has had its time.
    pub(crate) async fn drain(&mut self) {
        let mut waste = [0; 4096];
        let reading = async { while matches!(self.read(&mut waste).await, Ok(1..)) {} };
        drop(tokio::time::timeout(LINGER, reading).await);
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        drop(lock(&self.io).take());
        drop(lock(&self.raw).take());
    }

    fn with<T>(
        &self,
        act: impl FnOnce(Pin<&mut dyn Both>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match lock(&self.io).as_mut() {
            Some(Io::Plain(tcp)) => act(Pin::new(tcp)),
            Some(Io::Tls(tls)) => act(Pin::new(&mut **tls)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_shutdown(cx))
    }
}

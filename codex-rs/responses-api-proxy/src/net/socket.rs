//! A caller's socket, of either kind.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// One accepted connection.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A connection that no runtime polls, on its way to another one.
#[derive(Debug)]
pub(crate) enum DetachedSocket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl DetachedSocket {
    /// Has it polled by the runtime around this.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            #[cfg(unix)]
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Socket {
    /// Takes it away from its runtime.
    pub(crate) fn detach(self) -> io::Result<DetachedSocket> {
        Ok(match self {
            Self::Tcp(stream) => DetachedSocket::Tcp(stream.into_std()?),
            #[cfg(unix)]
            Self::Unix(stream) => DetachedSocket::Unix(stream.into_std()?),
        })
    }

    /// From now on any close is a reset (`SO_LINGER` of zero, socket(7)). There is
    /// none on a Unix socket; false then.
    pub(crate) fn close_by_reset(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.set_zero_linger().is_ok(),
            #[cfg(unix)]
            Self::Unix(_) => false,
        }
    }

    /// Takes [`close_by_reset`](Self::close_by_reset) back.
    #[allow(
        deprecated,
        reason = "deprecated for lingers that block; this one ends a linger of zero"
    )]
    pub(crate) fn close_in_order(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_linger(None),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
        }
    }

    /// Whether something has arrived that nobody has read yet.
    pub(crate) fn has_bytes(&self) -> bool {
        self.peek().is_ok_and(|length| length > 0)
    }

    /// How many bytes are there to read, of one; none at its end.
    fn peek(&self) -> io::Result<usize> {
        let mut room = [MaybeUninit::uninit(); 1];
        match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut room),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream).peek(&mut room),
        }
    }

    /// Whether the other side has closed its side, whatever of its bytes was read.
    pub(crate) fn is_read_closed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        // What is known of the socket is said at once; to be told later is not asked for.
        let ready = match self {
            Self::Tcp(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
            #[cfg(unix)]
            Self::Unix(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut cx),
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Waits until there is something to read, or its end. The runtime takes it that a connection it has just accepted
    /// can be read from, so the kernel is asked.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        loop {
            let peeked = match self {
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    stream.try_io(Interest::READABLE, || self.peek())
                }
                #[cfg(unix)]
                Self::Unix(stream) => {
                    stream.readable().await?;
                    stream.try_io(Interest::READABLE, || self.peek())
                }
            };
            match peeked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other.map(drop),
            }
        }
    }

    /// Reads what is there without waiting.
    pub(crate) fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(room),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_read(room),
        }
    }

    /// Ends our side; the other one can still be read.
    pub(crate) fn shut_down_writing(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        }
    }

    /// Writes what the socket takes without waiting.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// A small event must leave at once, not wait for the last one's ACK (tcp(7)).
    pub(crate) fn set_nodelay(&self) {
        match self {
            Self::Tcp(stream) => {
                let _ = stream.set_nodelay(true);
            }
            #[cfg(unix)]
            Self::Unix(_) => {}
        }
    }
}

/// Runs the same call on either kind.
macro_rules! on_either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            #[cfg(unix)]
            Self::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

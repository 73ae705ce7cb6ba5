//! Where connections come in: TCP ports of this host and Unix sockets, any number of each.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::net::socket::Socket;
use crate::net::unix_socket;

/// Listened on, and not blocking; nobody polls it yet.
#[derive(Debug)]
pub(crate) enum BoundListener {
    Tcp(std::net::TcpListener),
    Unix(unix_socket::UnixListener),
}

/// What is listened on.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    /// Which one is asked first the next time: each has its turn.
    first: AtomicUsize,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listeners {
    /// Takes listeners over. Needs a runtime around it.
    ///
    /// # Errors
    ///
    /// When one of them cannot be polled.
    pub(crate) fn new(bound: Vec<BoundListener>) -> io::Result<Self> {
        let all = bound.into_iter().map(Listener::new);
        Ok(Self {
            all: all.collect::<io::Result<_>>()?,
            first: AtomicUsize::new(0),
        })
    }

    /// The next connection, from whichever has one. Dropped before it is there, it has taken none.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        let first = self.first.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        let (last, next) = self.all.split_at(first);
        for listener in next.iter().chain(last) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    /// Whether a connection waits to be accepted now, as the kernel says: the runtime may not know of it yet.
    #[cfg(unix)]
    pub(crate) fn has_waiting(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let asked = self.all.iter().map(|listener| match listener {
            Listener::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
            Listener::Unix(listener) => PollFd::new(listener, PollFlags::IN),
        });
        let mut asked: Vec<PollFd<'_>> = asked.collect();
        // Where the kernel does not say, somebody may wait.
        poll(&mut asked, Some(&Timespec::default())).map_or(true, |waiting| waiting > 0)
    }

    #[cfg(not(unix))]
    pub(crate) fn has_waiting(&self) -> bool {
        false
    }
}

impl Listener {
    fn new(bound: BoundListener) -> io::Result<Self> {
        Ok(match bound {
            BoundListener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            #[cfg(unix)]
            BoundListener::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
            #[cfg(not(unix))]
            BoundListener::Unix(never) => match never {},
        })
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Socket::Tcp(stream)),
            #[cfg(unix)]
            Self::Unix(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};

    use super::*;

    fn bound() -> (BoundListener, SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (BoundListener::Tcp(listener), address)
    }

    #[tokio::test]
    #[cfg_attr(
        not(unix),
        allow(irrefutable_let_patterns, reason = "there are no Unix sockets")
    )]
    async fn each_listener_has_its_turn() {
        let ((one, at_one), (other, at_other)) = (bound(), bound());
        let listeners = Listeners::new(vec![one, other]).unwrap();
        #[cfg(unix)]
        assert!(!listeners.has_waiting());
        let connect = |to| TcpStream::connect::<SocketAddr>(to).unwrap();
        let many: Vec<_> = (0..16).map(|_| connect(at_one)).collect();
        let _single = connect(at_other);
        #[cfg(unix)]
        assert!(listeners.has_waiting());
        let mut until_other = 0;
        loop {
            let Socket::Tcp(accepted) = listeners.accept().await.unwrap() else {
                panic!("there is no Unix socket");
            };
            if accepted.local_addr().unwrap() == at_other {
                break;
            }
            until_other += 1;
        }
        // However many wait at the first one.
        assert!(until_other < many.len(), "{until_other}");
    }
}

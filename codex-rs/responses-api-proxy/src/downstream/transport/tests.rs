#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::os::unix::net::UnixStream as Peer;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::*;
use crate::downstream::connection_limit::ConnectionLimit;

struct Served {
    downstream: Downstream,
    connection_state: Arc<ConnectionState>,
    limit: Arc<ConnectionLimit>,
    /// Our end once more, and the other one.
    ours: Peer,
    peer: Peer,
}

/// A caller's connection, and its other end.
fn served() -> Served {
    let (ours, peer) = Peer::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let socket = UnixStream::from_std(ours.try_clone().unwrap()).unwrap();
    let socket = Socket::Unix(socket);
    let limit = Arc::new(ConnectionLimit::new(1, None, u64::MAX));
    let connection_state = Arc::new(ConnectionState::default());
    let permit = limit.admit(&connection_state, None).unwrap();
    let callers = Arc::new(PeerUsers::new(&[], &[], None).unwrap());
    let header_timeout = Duration::from_secs(10);
    let downstream = Downstream::new(
        socket,
        Arc::clone(&connection_state),
        permit,
        callers,
        header_timeout,
    );
    Served {
        downstream,
        connection_state,
        limit,
        ours,
        peer,
    }
}

const REQUEST: &[u8] =
    b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

/// Its place belongs to somebody else, whatever has come on it meanwhile.
#[tokio::test]
async fn nothing_is_read_from_a_connection_that_was_turned_out() {
    let mut served = served();
    // As the connection's own task sees it that is about to be told.
    served.connection_state.become_idle(served.limit.tick());
    assert!(served.limit.evict_one());
    served.peer.write_all(REQUEST).unwrap();
    assert!(served.downstream.receive().await);
    let mut room = Vec::new();
    let read = served.downstream.read_buf(&mut room).await;
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert!(room.is_empty(), "{} bytes passed", room.len());
}

/// The same where nothing was held back before.
#[tokio::test]
async fn nor_is_what_comes_as_hyper_reads() {
    let mut served = served();
    served.connection_state.become_idle(served.limit.tick());
    assert!(served.limit.evict_one());
    served.peer.write_all(REQUEST).unwrap();
    let mut room = Vec::new();
    let read = served.downstream.read_buf(&mut room).await;
    assert!(read.is_err() && room.is_empty());
}

/// The caller has not read what it got before, and there is no room for what it gets now.
#[tokio::test(start_paused = true)]
async fn the_last_word_does_not_wait_for_ever() {
    let mut served = served();
    while served.ours.write(&[b'x'; 4096]).is_ok() {}
    served.peer.write_all(b"GET / HTTP/1.1\n").unwrap();
    let begun = Instant::now();
    let received = served.downstream.receive();
    let received = tokio::time::timeout(Duration::from_secs(60), received).await;
    assert_eq!(received.ok(), Some(false));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

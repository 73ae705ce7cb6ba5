use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

use tokio::net::TcpStream;

async fn connected() -> (Transport, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (far, _) = listener.accept().await.unwrap();
    (Transport::new(Stream::Tcp(near.unwrap()), false).0, far)
}

/// What was received is read; then comes an error, and not the end.
#[tokio::test]
async fn a_failed_write_is_told_after_everything_that_was_received() {
    let (mut transport, mut far) = connected().await;
    far.write_all(b"answer").await.unwrap();
    far.shutdown().await.unwrap();
    transport
        .outgoing
        .0
        .has_failed
        .store(true, Ordering::Relaxed);
    let mut text = Vec::new();
    let error = transport.read_to_end(&mut text).await.unwrap_err();
    assert_eq!(
        (text.as_slice(), error.kind()),
        (&b"answer"[..], io::ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn an_end_without_a_failed_write_is_an_end() {
    let (mut transport, mut far) = connected().await;
    far.write_all(b"answer").await.unwrap();
    far.shutdown().await.unwrap();
    let mut text = Vec::new();
    transport.read_to_end(&mut text).await.unwrap();
    assert_eq!(text, b"answer");
}

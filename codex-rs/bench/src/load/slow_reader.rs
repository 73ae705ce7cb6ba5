//! A caller that reads slowly.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What the kernel keeps for it at most, in bytes (it doubles that); else megabytes of an answer would be there.
const RECEIVE_BUFFER: u32 = 4 << 10;

/// The segments of a network, in bytes: for those of loopback, which are as long as 64 KB, the kernel sets aside
/// megabytes for each connection on the other side, which a thousand of them do not all get.
const SEGMENT: u32 = 1_460;

/// One of them, with an answer that has begun.
pub(crate) struct SlowReader {
    stream: TcpStream,
    piece: Box<[u8]>,
}

impl SlowReader {
    /// Asks, and reads the first `piece` bytes of the answer, its head among them.
    ///
    /// # Errors
    /// When the other side does not accept, or the answer is not a 200.
    pub(crate) async fn begin(address: SocketAddr, request: &[u8], piece: usize) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        SockRef::from(&socket).set_tcp_mss(SEGMENT)?;
        let mut stream = socket.connect(address).await.context("cannot connect")?;
        stream.write_all(request).await?;
        let piece = vec![0; piece].into_boxed_slice();
        let mut reader = Self { stream, piece };
        reader.read_some().await?;
        ensure!(
            reader.piece.starts_with(b"HTTP/1.1 200 "),
            "the answer is not a 200"
        );
        Ok(reader)
    }

    /// Reads at most one piece.
    ///
    /// # Errors
    /// When the answer is cut.
    pub(crate) async fn read_some(&mut self) -> Result<()> {
        ensure!(
            self.stream.read(&mut self.piece).await? > 0,
            "the answer was cut"
        );
        Ok(())
    }
}

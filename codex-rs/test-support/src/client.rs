//! A raw HTTP/1.1 client: sends exactly what a test tells it to and reports exactly how the
//! answer ended. Everything it reads is searched for the test key.

mod body;
mod read;

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;

use self::body::Body;
use crate::Headers;
use crate::answer::End;
use crate::wait::WAIT_TIMEOUT;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    scan: bool,
    /// Texts with parts of the key in them that the test itself put into the answers.
    known: Vec<Vec<u8>>,
    deadline: Duration,
    /// Read, not yet consumed.
    buffer: Vec<u8>,
    /// The end of what was read, for the next scan.
    tail: Vec<u8>,
    /// What was done last, for the message of a hang.
    last: String,
    sent_head_request: bool,
    body: Body,
    /// The body of the current answer so far.
    received: Vec<u8>,
    trailers: Headers,
}

/// Connecting and sending.
impl Client {
    /// Connects; TCP_NODELAY is set.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        match TcpStream::connect_timeout(&addr, WAIT_TIMEOUT) {
            Ok(stream) => Self::over(stream),
            Err(error) => panic!("cannot connect to {addr}: {error}"),
        }
    }

    /// A client on a connection made elsewhere.
    ///
    /// # Panics
    /// When the socket's options cannot be set.
    #[must_use]
    #[track_caller]
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream
            .set_write_timeout(Some(WAIT_TIMEOUT))
            .expect("a write timeout");
        Self {
            stream,
            scan: true,
            known: Vec::new(),
            deadline: WAIT_TIMEOUT,
            buffer: Vec::new(),
            tail: Vec::new(),
            last: "connecting".to_owned(),
            sent_head_request: false,
            body: Body::Ended(End::Clean),
            received: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// Stops looking for the key: for tests that talk to the mock itself.
    #[must_use]
    pub fn without_scan(mut self) -> Self {
        self.scan = false;
        self
    }

    /// A text that the test itself makes the upstream send: parts of the key that stand in it are
    /// no leak where they come back. Everything else of the key still is.
    #[must_use]
    pub fn knowing(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.known.push(text.into());
        self
    }

    /// How long one read may take instead of [`WAIT_TIMEOUT`].
    #[must_use]
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = time;
        self
    }

    /// Sends bytes as they are. That the peer has closed is left for the next read to show.
    ///
    /// # Panics
    /// On any other failure, and when the peer reads nothing for [`WAIT_TIMEOUT`].
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        match self.try_send(bytes) {
            Ok(()) => {}
            Err(error) if gone(&error) => {}
            Err(error) => panic!("sending failed ({error}) after {}", self.last),
        }
        self
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone or nothing is read for [`WAIT_TIMEOUT`].
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        if bytes.starts_with(b"HEAD ") {
            self.sent_head_request = true;
        }
        self.last = format!(
            "sending {:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
        );
        self.stream.write_all(bytes)
    }

    /// Sends a request. Host is added unless given; Content-Length with a body or a POST, unless
    /// it or Transfer-Encoding is given; Content-Type with a POST unless given.
    #[track_caller]
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> &mut Self {
        let body = body.as_ref();
        let given = |name: &str| {
            headers
                .iter()
                .any(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !given("host") {
            let peer = self
                .stream
                .peer_addr()
                .map_or_else(|_| "localhost".to_owned(), |a| a.to_string());
            head.push_str(&format!("Host: {peer}\r\n"));
        }
        if method == "POST" && !given("content-type") {
            head.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let counted = given("content-length") || given("transfer-encoding");
        if !counted && (method == "POST" || !body.is_empty()) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat())
    }

    /// Sends a POST, see [`Client::request`].
    #[track_caller]
    pub fn post(
        &mut self,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> &mut Self {
        self.request("POST", target, headers, body)
    }

    /// Sends a GET, see [`Client::request`].
    #[track_caller]
    pub fn get(&mut self, target: &str) -> &mut Self {
        self.request("GET", target, &[], "")
    }

    /// Our address.
    ///
    /// # Panics
    /// When the system does not know it.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.stream
            .local_addr()
            .expect("the address of a connection")
    }

    /// Sends FIN; the answer can still be read.
    pub fn shutdown_write(&mut self) {
        "closing our side".clone_into(&mut self.last);
        // A connection the peer has reset has nothing left to shut.
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Closes the connection in order.
    pub fn close(self) {}

    /// Closes the connection with RST.
    ///
    /// # Panics
    /// When the socket does not let us.
    pub fn reset(self) {
        let handle = self.stream.try_clone().expect("a second handle");
        TcpSocket::from_std_stream(handle)
            .set_zero_linger()
            .expect("SO_LINGER");
    }
}

/// Whether the peer has closed or reset.
fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}

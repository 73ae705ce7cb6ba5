//! How the mock upstream is to be, and its start.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::MockUpstream;
use super::accept::{Acceptor, OnAccept, accept};
use crate::gate::Gate;
use crate::journal::Journal;
use crate::mock_state::MockState;
use crate::recorded::RecordedRequest;
use crate::reply::Reply;
use crate::script::Script;
use crate::tls::{Certificate, Identity};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Plain,
    TlsH1,
    TlsH2,
}

/// How a [`MockUpstream`] is to be.
#[derive(Clone, Debug)]
pub struct MockUpstreamBuilder {
    protocol: Protocol,
    certificate: Certificate,
    max_concurrent_streams: Option<u32>,
    script: Script,
    keep_bodies: bool,
    hold_body: Option<Gate>,
    on_accept: OnAccept,
    port: u16,
}

impl MockUpstreamBuilder {
    pub(super) fn new() -> Self {
        Self {
            protocol: Protocol::Plain,
            certificate: Certificate::Good,
            max_concurrent_streams: None,
            script: Reply::responses("Hello from the mock upstream.").into(),
            keep_bodies: true,
            hold_body: None,
            on_accept: OnAccept::Serve,
            port: 0,
        }
    }

    /// TLS, offering HTTP/1.1 alone.
    #[must_use]
    pub fn tls_h1(mut self) -> Self {
        self.protocol = Protocol::TlsH1;
        self
    }

    /// TLS, offering HTTP/2 alone.
    #[must_use]
    pub fn h2(mut self) -> Self {
        self.protocol = Protocol::TlsH2;
        self
    }

    /// How many HTTP/2 streams a connection may have open.
    #[must_use]
    pub fn max_concurrent_streams(mut self, n: u32) -> Self {
        self.max_concurrent_streams = Some(n);
        self
    }

    /// The certificate shown under TLS.
    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// The answers; a [`Reply`] for all, or a `Vec` of them, one for each request in turn.
    #[must_use]
    pub fn script(mut self, script: impl Into<Script>) -> Self {
        self.script = script.into();
        self
    }

    /// Answers come from `handler`, called when the whole body of a request is in.
    #[must_use]
    pub fn handler(
        self,
        handler: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.script(Script::handler(handler))
    }

    /// Asks `handler` first, when the head of a request is in; `Some` is sent right away.
    #[must_use]
    pub fn on_head(
        mut self,
        handler: impl Fn(&RecordedRequest) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        self.script = self.script.on_head(handler);
        self
    }

    /// Keeps only the length and the hash of request bodies.
    #[must_use]
    pub fn discard_body(mut self) -> Self {
        self.keep_bodies = false;
        self
    }

    /// Leaves request bodies unread until the gate is released. A peer that closes meanwhile is
    /// noticed only then.
    #[must_use]
    pub fn hold_body(mut self, gate: &Gate) -> Self {
        self.hold_body = Some(gate.clone());
        self
    }

    /// What happens to new connections.
    #[must_use]
    pub fn on_accept(mut self, what: OnAccept) -> Self {
        self.on_accept = what;
        self
    }

    /// Listens on this port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts to listen.
    ///
    /// # Panics
    /// When the port is not to be had.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> MockUpstream {
        let (identity, tls) = match self.protocol {
            Protocol::Plain => (None, None),
            Protocol::TlsH1 | Protocol::TlsH2 => {
                let identity = Identity::new(self.certificate);
                let alpn = if self.protocol == Protocol::TlsH2 {
                    "h2"
                } else {
                    "http/1.1"
                };
                let tls = identity.acceptor(&[alpn]);
                (Some(identity), Some(tls))
            }
        };
        let journal = Arc::new(Journal::new(self.keep_bodies));
        let acceptor = Acceptor {
            state: Arc::new(MockState {
                journal: Arc::clone(&journal),
                script: self.script,
                hold_body: self.hold_body,
                max_concurrent_streams: self.max_concurrent_streams,
            }),
            on_accept: self.on_accept,
            tls,
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = listen(&runtime, self.port);
        let addr = listener.local_addr().expect("the listener's address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("mock-upstream".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, acceptor) => {}
                        _ = stopped => {}
                    }
                });
            })
            .expect("a thread");
        MockUpstream {
            addr,
            identity,
            journal,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

fn listen(runtime: &Runtime, port: u16) -> TcpListener {
    let _inside = runtime.enter();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    if let Err(error) = socket.bind((Ipv4Addr::LOCALHOST, port).into()) {
        panic!("the mock upstream cannot have port {port}: {error}");
    }
    socket.listen(4096).expect("a listening socket")
}

//! How a connection to the upstream comes about: by which way, with which checks, in what time.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_deadline::within;
use http::{HeaderValue, Uri};
use hyper::upgrade::Upgraded;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::observe::upstream_connections::UpstreamConnections;
use crate::upstream::error::UpstreamError;

use super::listener_owner::ListenerOwner;
use super::resolver::Resolver;
use super::stream::Stream;
use super::transport::Transport;
use super::tunnel;

/// How long a connection may take to come about: look-up, TCP, a proxy's answer and TLS together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the addresses of one family are tried alone (RFC 8305, section 8, advises 250 ms).
const HAPPY_EYEBALLS: Duration = Duration::from_millis(300);

/// With nothing to send or receive, how long until the kernel asks whether the other side still lives,
/// how long between two questions, and how many go unanswered (tcp(7), `TCP_KEEPIDLE`).
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;

/// How long what was sent may be taken by nobody before the kernel ends the connection (tcp(7),
/// `TCP_USER_TIMEOUT`): as long as it takes, because an upstream may read on whenever it likes, and
/// `--upstream-timeout` counts until it answers.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Option<Duration> = None;

/// How much of a request is kept encrypted, and before the handshake in cleartext, until the socket takes it,
/// in bytes.
const TLS_BUFFER: usize = 64 * 1024;

/// What speaks first on a connection, and what to tell it from.
pub(crate) struct Established {
    pub(crate) transport: Transport,
    /// HTTP/2 was agreed on (RFC 7301); HTTP/1.1 otherwise.
    pub(crate) is_http_2: bool,
    /// Comes when the server has sent its first bytes.
    pub(crate) first_bytes: oneshot::Receiver<()>,
}

/// Makes connections, all alike, for every thread; clones share the TLS sessions and the resolver.
#[derive(Clone)]
pub(crate) struct Connector {
    way: Arc<Way>,
    made: UpstreamConnections,
}

/// By which way.
pub(crate) enum Way {
    /// HTTP in cleartext, within this host.
    Cleartext {
        address: std::net::SocketAddr,
        owner: ListenerOwner,
    },
    /// HTTP in cleartext, on a Unix socket.
    #[cfg(unix)]
    Socket {
        path: std::path::PathBuf,
        owner: ListenerOwner,
    },
    /// HTTP in cleartext to the metadata service of the machine, which has no TLS and never gets the key.
    Metadata { tcp: Tcp },
    /// TLS to the upstream itself.
    Tls { tcp: Tcp, tls: Tls },
    /// TLS to the upstream through a CONNECT proxy.
    Tunnel {
        proxy: Tcp,
        /// The variable that names it.
        named_by: &'static str,
        /// For a proxy that is spoken to by TLS.
        proxy_tls: Option<Tls>,
        authorization: Option<HeaderValue>,
        /// The upstream as `HOST:PORT`.
        authority: String,
        tls: Tls,
    },
}

/// A host and a port to connect to, by name or address.
#[derive(Clone)]
pub(crate) struct Tcp {
    uri: Uri,
    connector: HttpConnector<Resolver>,
}

/// TLS with one server.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) name: ServerName<'static>,
    pub(crate) config: Arc<rustls::ClientConfig>,
}

impl Connector {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            way: Arc::new(way),
            made: UpstreamConnections::new(),
        }
    }

    /// All that were made by this connector.
    pub(crate) fn made(&self) -> &UpstreamConnections {
        &self.made
    }

    /// Whether what is spoken is known before there is a connection.
    pub(crate) fn is_http_1(&self) -> bool {
        !matches!(*self.way, Way::Tls { .. } | Way::Tunnel { .. })
    }

    /// A new connection, ready for HTTP.
    ///
    /// # Errors
    ///
    /// The [`UpstreamError`] that names what failed.
    pub(crate) async fn connect(&self) -> Result<Established, UpstreamError> {
        let started = Instant::now();
        let connected = within(CONNECT_TIMEOUT, self.way.connect()).await;
        let mut established = connected.ok_or(UpstreamError::ConnectTimeout)??;
        let open = self.made.note_open(started.elapsed());
        established.transport.count_as(open);
        Ok(established)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Way {
    async fn connect(&self) -> Result<Established, UpstreamError> {
        match self {
            Self::Cleartext { address, owner } => {
                owner.check(*address)?;
                let stream = TcpStream::connect(address)
                    .await
                    .and_then(|stream| prepared(&stream).map(|()| stream))
                    .map_err(|error| UpstreamError::Connect(error.to_string()))?;
                // Once more: whoever listened before may have gone.
                owner.check(*address)?;
                Ok(established(Stream::Tcp(stream), false))
            }
            #[cfg(unix)]
            Self::Socket { path, owner } => {
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| UpstreamError::Connect(error.to_string()))?;
                owner.check_socket(&stream)?;
                Ok(established(Stream::Unix(stream), false))
            }
            Self::Metadata { tcp } => Ok(established(Stream::Tcp(tcp.connect().await?), false)),
            Self::Tls { tcp, tls } => {
                let (stream, is_http_2) = tls.over(tcp.connect().await?).await?;
                Ok(established(Stream::Tls(Box::new(stream)), is_http_2))
            }
            Self::Tunnel {
                proxy,
                named_by,
                proxy_tls,
                authorization,
                authority,
                tls,
            } => {
                let at = format!("{} ({named_by})", proxy.name());
                let proxy_tls = proxy_tls.as_ref();
                let open = open_tunnel(proxy, proxy_tls, &at, authority, authorization.as_ref());
                // Until it is open, whatever takes long is the proxy's doing.
                let opened = within(CONNECT_TIMEOUT, open).await;
                let opened =
                    opened.ok_or_else(|| UpstreamError::ConnectTimeout.of_proxy(&at))??;
                let agreed = tls.over(opened).await;
                let (stream, is_http_2) = agreed.map_err(|fault| fault.behind_proxy(&at))?;
                Ok(established(Stream::Tunnel(Box::new(stream)), is_http_2))
            }
        }
    }
}

/// A connection to `authority` through `proxy`, which errors call `at`.
///
/// # Errors
///
/// [`UpstreamError::Proxy`].
async fn open_tunnel(
    proxy: &Tcp,
    proxy_tls: Option<&Tls>,
    at: &str,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<TokioIo<Upgraded>, UpstreamError> {
    let of_proxy = |fault: UpstreamError| fault.of_proxy(at);
    let stream = proxy.connect().await.map_err(of_proxy)?;
    let opened = match proxy_tls {
        Some(proxy_tls) => {
            let (stream, _) = proxy_tls.over(stream).await.map_err(of_proxy)?;
            tunnel::open(stream, authority, authorization).await
        }
        None => tunnel::open(stream, authority, authorization).await,
    };
    opened.map_err(|error| UpstreamError::from_tunnel(&error, at))
}

fn established(stream: Stream, is_http_2: bool) -> Established {
    let (transport, first_bytes) = Transport::new(stream, is_http_2);
    Established {
        transport,
        is_http_2,
        first_bytes,
    }
}

/// What [`HttpConnector`] does to its sockets, for one that it did not make.
fn prepared(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(KEEPALIVE_RETRIES);
    let socket = socket2::SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(UNACKNOWLEDGED)?;
    socket.set_tcp_keepalive(&keepalive)
}

impl Tcp {
    /// `uri` names a host and a port; its scheme and path are not looked at.
    pub(crate) fn new(uri: Uri, resolver: Resolver) -> Self {
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_happy_eyeballs_timeout(Some(HAPPY_EYEBALLS));
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE));
        connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        connector.set_reuse_address(false);
        // The kernel's own, which grow with what a connection carries (tcp(7)).
        connector.set_send_buffer_size(None);
        connector.set_recv_buffer_size(None);
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(UNACKNOWLEDGED);
        Self { uri, connector }
    }

    /// Host and port, for messages.
    fn name(&self) -> String {
        let authority = self.uri.authority();
        authority.map_or_else(String::new, ToString::to_string)
    }

    async fn connect(&self) -> Result<TcpStream, UpstreamError> {
        let connected = self.connector.clone().call(self.uri.clone()).await;
        let stream = connected.map_err(|error| UpstreamError::from_connect(&error))?;
        Ok(stream.into_inner())
    }
}

impl Tls {
    /// Agrees on TLS over `stream`; the second part is whether HTTP/2 was chosen.
    async fn over<S>(
        &self,
        stream: S,
    ) -> Result<(tokio_rustls::client::TlsStream<S>, bool), UpstreamError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let set =
            |session: &mut rustls::ClientConnection| session.set_buffer_limit(Some(TLS_BUFFER));
        let stream = connector
            .connect_with(self.name.clone(), stream, set)
            .await
            .map_err(|error| UpstreamError::from_connect(&error))?;
        let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, is_http_2))
    }
}

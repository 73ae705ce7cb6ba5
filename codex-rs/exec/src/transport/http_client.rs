//! The HTTP client: TLS, proxies of the environment, sockets, and every limit set.
//!
//! No redirects, no decompression, no retries below ours. What stays on this host never goes
//! through a proxy of the environment.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use codex_outbound::tls_roots::{self, NoRoots};
use reqwest::{redirect, retry};
use rustls::{ClientConfig, RootCertStore};

use crate::config::provider::Provider;
use crate::transport::error::root;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of one answer may lie here unread, in bytes (HTTP/2).
const WINDOW: u32 = 1 << 20;
/// How long a connection is kept between two answers of a conversation.
const KEPT_IDLE: Duration = Duration::from_secs(90);
/// The most header lines of an answer, its longest head by HTTP/2 and the longest frame, in bytes.
const MAX_HEADERS: usize = 256;
const MAX_HEAD: u32 = 64 << 10;
const MAX_FRAME: u32 = 16 << 10;
/// After so long without anything the other side is asked whether it still lives, and how often in vain;
/// by HTTP/2 by a ping that is answered within so long.
const ALIVE_AFTER: Duration = Duration::from_secs(15);
const ALIVE_RETRIES: u32 = 3;
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(45);
/// How long what was sent may be taken by nobody (tcp(7), `TCP_USER_TIMEOUT`): the idle timeout of the
/// provider counts alone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Option<Duration> = None;

/// Why there is no way to the provider.
#[derive(Debug)]
pub(crate) enum ClientError {
    NoRoots(NoRoots),
    Tls(rustls::Error),
    Setup(String),
    #[cfg_attr(unix, expect(dead_code, reason = "only where there are none"))]
    NoSockets,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots(cause) => cause.fmt(f),
            Self::Tls(cause) => write!(f, "could not set up TLS: {cause}"),
            Self::Setup(cause) => write!(f, "could not set up the HTTP client: {cause}"),
            Self::NoSockets => {
                f.write_str("the proxy listens on a Unix socket, which this system lacks")
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// Loads what is needed for one provider. Nothing connects yet.
///
/// # Errors
///
/// [`ClientError`]: no certificate authorities, or a proxy in the environment that is none.
pub(crate) fn http_client(provider: &Provider) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(KEPT_IDLE)
        .pool_max_idle_per_host(1)
        .http1_max_headers(MAX_HEADERS)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW)
        .http2_adaptive_window(false)
        .http2_max_frame_size(MAX_FRAME)
        .http2_max_header_list_size(MAX_HEAD)
        .http2_keep_alive_interval(ALIVE_AFTER)
        .http2_keep_alive_timeout(PING_ANSWERED_WITHIN)
        .http2_keep_alive_while_idle(false)
        .tcp_keepalive(ALIVE_AFTER)
        .tcp_keepalive_interval(ALIVE_AFTER)
        .tcp_keepalive_retries(ALIVE_RETRIES)
        .tcp_nodelay(true)
        .user_agent(concat!("codex-exec/", env!("CARGO_PKG_VERSION")));
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
    let builder = if provider.is_on_this_host() {
        // What stays here passes no proxy, and no name service has a say in what "localhost" is.
        let loopback = [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ];
        builder.no_proxy().resolve_to_addrs("localhost", &loopback)
    } else {
        builder
    };
    let roots = if provider.url.scheme() == "https" {
        // What cannot be had is passed over: whoever asks sees which certificate does not hold for it.
        let roots = tls_roots::load_available("the server").map_err(ClientError::NoRoots)?;
        roots.store
    } else {
        RootCertStore::empty()
    };
    let builder = builder.tls_backend_preconfigured(tls(roots)?);
    let builder = match &provider.socket {
        Some(path) => through_socket(builder, path)?,
        None => builder,
    };
    builder
        .build()
        .map_err(|error| ClientError::Setup(root(&error)))
}

#[cfg(unix)]
fn through_socket(
    builder: reqwest::ClientBuilder,
    path: &std::path::Path,
) -> Result<reqwest::ClientBuilder, ClientError> {
    Ok(builder.unix_socket(path))
}

#[cfg(not(unix))]
fn through_socket(
    _builder: reqwest::ClientBuilder,
    _path: &std::path::Path,
) -> Result<reqwest::ClientBuilder, ClientError> {
    Err(ClientError::NoSockets)
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // reqwest asks for nothing where it is given a configuration.
    config.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).into();
    Ok(config)
}

//! The way to the upstream: TLS, proxies, and what a client must not do.
//!
//! No redirects, no retries of our own, no cookies, no decompression: a request
//! is sent once, to one origin, and the answer is what came back.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, redirect, retry};
use rustls::crypto::CryptoProvider;

use crate::config::UpstreamUrl;
use crate::trust_roots;

/// How long a connection to the upstream may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most header lines of an answer, and its longest head over HTTP/2, in bytes.
const MAX_ANSWER_HEADERS: usize = 256;
const MAX_ANSWER_HEAD: u32 = 256 * 1024;

/// How much of one answer may lie here unread, in bytes: what HTTP/2 begins with.
/// Many small frames take several times as much memory.
const STREAM_WINDOW: u32 = 65_535;
/// Of all answers on one connection, the most there can be (RFC 9113, section
/// 6.9.1): a caller that does not read holds back its own answer and no other.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// A connection that nothing uses is kept this long: an agent's tools may take
/// minutes between two requests, and the next one is spared a TLS handshake.
const KEPT_IDLE: Duration = Duration::from_secs(240);

/// With answers open on an HTTP/2 connection, how often it is asked whether it still
/// lives, and how long it may take to say so. Over HTTP/1.1 the kernel asks (tcp(7),
/// `TCP_KEEPIDLE`: reqwest sets 15 s, and up to three more).
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Where connections go first: to the upstream or to its proxy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hop {
    pub(crate) port: u16,
    /// It has to be looked up.
    pub(crate) is_name: bool,
}

/// How the upstream is reached, for the start-up lines and the sandbox.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) first_hop: Hop,
    /// Scheme, host and port of the CONNECT proxy.
    pub(crate) proxy: Option<String>,
    /// How many certificate authorities are trusted, and who named them.
    pub(crate) roots: Option<(usize, String)>,
}

/// Why there is no way to the upstream.
#[derive(Debug)]
pub(crate) enum UpstreamSetupError {
    NoRoots(String),
    Proxy(String),
    Tls(rustls::Error),
    Client(reqwest::Error),
}

impl fmt::Display for UpstreamSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots(cause) => write!(
                f,
                "no certificate authorities to check the upstream against{cause}; install \
                 ca-certificates or point SSL_CERT_FILE to a PEM file"
            ),
            Self::Proxy(scheme) => write!(
                f,
                "the proxy named in HTTPS_PROXY or ALL_PROXY has the scheme {scheme}; only http \
                 and https proxies are supported (or exempt the upstream in NO_PROXY)"
            ),
            Self::Tls(_) => f.write_str("could not set up TLS"),
            Self::Client(_) => f.write_str("could not set up the upstream client"),
        }
    }
}

impl std::error::Error for UpstreamSetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(cause) => Some(cause),
            Self::Client(cause) => Some(cause),
            Self::NoRoots(_) | Self::Proxy(_) => None,
        }
    }
}

/// Makes clients that are all alike, and share their TLS sessions.
#[derive(Debug)]
pub(crate) struct ClientMaker {
    tls: rustls::ClientConfig,
    is_clear: bool,
}

impl ClientMaker {
    /// A client of its own, with no connection yet.
    ///
    /// # Errors
    ///
    /// reqwest's, if it does not like the parts.
    pub(crate) fn client(&self) -> reqwest::Result<Client> {
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(KEPT_IDLE)
            .http1_max_headers(MAX_ANSWER_HEADERS)
            .http2_max_header_list_size(MAX_ANSWER_HEAD)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_ANSWERED_WITHIN)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(self.tls.clone());
        let builder = if self.is_clear {
            // The key crosses in clear, so it goes nowhere but to this host: no
            // proxy, and no name service has a say in what "localhost" is.
            let loopback = [
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ];
            builder.no_proxy().resolve_to_addrs("localhost", &loopback)
        } else {
            builder
        };
        builder.build()
    }
}

impl Route {
    /// Finds the way and loads the certificate authorities.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError`]: no authorities, or a proxy that cannot be used.
    pub(crate) fn to(
        url: &UpstreamUrl,
        provider: CryptoProvider,
    ) -> Result<(Self, ClientMaker), UpstreamSetupError> {
        let mut route = Self {
            first_hop: first_hop(url.url()),
            ..Self::default()
        };
        let is_clear = url.is_clear();
        let roots = if is_clear {
            rustls::RootCertStore::empty()
        } else {
            let (roots, from) = trust_roots::load()
                .map_err(|error| UpstreamSetupError::NoRoots(error.to_string()))?;
            route.roots = Some((roots.len(), from));
            if let Some(proxy) = proxy_for(url)? {
                route.first_hop = first_hop(&proxy);
                route.proxy = Some(proxy.origin().ascii_serialization());
            }
            roots
        };
        let tls = tls(provider, roots)?;
        Ok((route, ClientMaker { tls, is_clear }))
    }
}

fn tls(
    provider: CryptoProvider,
    roots: rustls::RootCertStore,
) -> Result<rustls::ClientConfig, UpstreamSetupError> {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(UpstreamSetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The proxy that reqwest will use, asked of the code that it asks, so that the
/// start-up line tells the truth. User info is left out.
fn proxy_for(url: &UpstreamUrl) -> Result<Option<reqwest::Url>, UpstreamSetupError> {
    let hop = url
        .url()
        .as_str()
        .parse()
        .ok()
        .and_then(|target: http::Uri| Matcher::from_system().intercept(&target));
    let Some(hop) = hop else {
        return Ok(None);
    };
    let scheme = hop.uri().scheme_str().unwrap_or("http");
    if !matches!(scheme, "http" | "https") {
        return Err(UpstreamSetupError::Proxy(scheme.to_owned()));
    }
    Ok(reqwest::Url::parse(&hop.uri().to_string()).ok())
}

fn first_hop(url: &reqwest::Url) -> Hop {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    Hop {
        port: url.port_or_known_default().unwrap_or_default(),
        is_name: address.parse::<std::net::IpAddr>().is_err(),
    }
}

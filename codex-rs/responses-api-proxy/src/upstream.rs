//! The client towards the one upstream: TLS, proxies, pool, and what it must not do.
//!
//! No redirects, no retries of our own, no cookies, no decompression: a request
//! is sent once, to one origin, and the answer is what came back.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, Request, redirect, retry};
use rustls::crypto::CryptoProvider;

use crate::config::UpstreamUrl;
use crate::upload::{Progress, Upload};
use crate::upstream_fault::UpstreamFault;

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

/// The upstream and the way to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client,
    url: UpstreamUrl,
    /// How long it may take to begin an answer.
    patience: Duration,
    route: Route,
}

/// Where connections go first: to the upstream or to its proxy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hop {
    pub(crate) port: u16,
    /// It has to be looked up.
    pub(crate) is_name: bool,
}

/// How the upstream is reached, for the start-up lines and the sandbox.
#[derive(Debug, Default)]
struct Route {
    first_hop: Hop,
    /// Scheme, host and port of the CONNECT proxy.
    proxy: Option<String>,
    /// How many certificate authorities are trusted, and who named them.
    roots: Option<(usize, &'static str)>,
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

impl Upstream {
    /// Loads the certificate authorities and builds the client. Nothing connects yet.
    ///
    /// `provider` does the encryption, and by it unseals the credential.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError`]: no authorities, or a proxy that cannot be used.
    pub(crate) fn new(
        url: UpstreamUrl,
        patience: Duration,
        provider: CryptoProvider,
    ) -> Result<Self, UpstreamSetupError> {
        let mut route = Route {
            first_hop: first_hop(url.url()),
            ..Route::default()
        };
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_max_headers(MAX_ANSWER_HEADERS)
            .http2_max_header_list_size(MAX_ANSWER_HEAD)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .tcp_nodelay(true);
        let builder = if url.is_clear() {
            // The key crosses in clear, so it goes nowhere but to this host: no
            // proxy, and no name service has a say in what "localhost" is.
            let loopback = [
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ];
            builder
                .no_proxy()
                .resolve_to_addrs("localhost", &loopback)
                .tls_backend_preconfigured(tls(provider, rustls::RootCertStore::empty())?)
        } else {
            let roots = native_roots()?;
            route.roots = Some((roots.len(), roots_source()));
            if let Some(proxy) = proxy_for(&url)? {
                route.first_hop = first_hop(&proxy);
                route.proxy = Some(proxy.origin().ascii_serialization());
            }
            builder.tls_backend_preconfigured(tls(provider, roots)?)
        };
        Ok(Self {
            client: builder.build().map_err(UpstreamSetupError::Client)?,
            url,
            patience,
            route,
        })
    }

    pub(crate) fn url(&self) -> &reqwest::Url {
        self.url.url()
    }

    /// Whether this is where we ourselves listen.
    pub(crate) fn is_ourselves(&self, port: u16) -> bool {
        // We listen on that address alone; others of this host may be somebody else.
        let is_here = matches!(self.url().host_str(), Some("127.0.0.1" | "localhost"));
        is_here && self.url().port_or_known_default() == Some(port)
    }

    pub(crate) fn first_hop(&self) -> Hop {
        self.route.first_hop
    }

    /// Sends one request and waits for the head of its answer.
    ///
    /// The time allowed runs anew as long as the request body makes progress: a
    /// slow upload is the caller's, not the upstream's, silence.
    ///
    /// # Errors
    ///
    /// The [`UpstreamFault`]; the request is cancelled then.
    pub(crate) async fn send(
        &self,
        headers: HeaderMap,
        body: Upload,
    ) -> Result<reqwest::Response, UpstreamFault> {
        let progress = body.progress();
        let mut request = Request::new(Method::POST, self.url.url().clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let answer = self.client.execute(request);
        in_time(answer, self.patience, &progress)
            .await
            .ok_or(UpstreamFault::Timeout(self.patience))?
            .map_err(|error| UpstreamFault::from_error(&error))
    }
}

impl fmt::Display for Upstream {
    /// Where requests go and how, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url.url())?;
        if let Some((count, source)) = self.route.roots {
            write!(f, ", TLS checked against {count} authorities from {source}")?;
        }
        if let Some(proxy) = &self.route.proxy {
            write!(f, ", through the proxy {proxy}")?;
        }
        if self.url.is_clear() {
            f.write_str(", in clear on this host")?;
        }
        Ok(())
    }
}

/// `None` when `limit` passes without an answer and without progress.
async fn in_time<T>(
    answer: impl Future<Output = T>,
    limit: Duration,
    progress: &Progress,
) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    loop {
        let before = progress.made();
        match tokio::time::timeout(limit, &mut answer).await {
            Ok(answer) => return Some(answer),
            Err(_) if progress.made() != before => {}
            Err(_) => return None,
        }
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

fn native_roots() -> Result<rustls::RootCertStore, UpstreamSetupError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    // One odd certificate among the system's hundred is no reason to stop.
    let _ = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let cause = found.errors.first();
        let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
        return Err(UpstreamSetupError::NoRoots(cause));
    }
    Ok(roots)
}

/// Who named the authorities; `rustls-native-certs` asks these two variables first.
fn roots_source() -> &'static str {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some())
        .unwrap_or("the system")
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

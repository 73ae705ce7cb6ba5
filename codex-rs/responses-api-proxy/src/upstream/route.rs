//! Which way to the upstream the configuration and the environment ask for.
//!
//! No redirects, no retries of our own, no cookies, no decompression: a request
//! is sent once, to one origin, and the answer is what came back.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use codex_outbound::environment::EnvironmentError;
use codex_outbound::http_proxy::{self, HttpProxy};
use codex_outbound::tls_roots::{self, NoRoots};
use http::Uri;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use url::Url;

use crate::config::UpstreamUrl;

use super::connector::{Connector, Tcp, Tls, Way};
use super::listener_owner::ListenerOwner;
use super::resolver::Resolver;

/// How many servers' TLS sessions are kept: there is one, and there may be a proxy. rustls rounds it.
const SESSIONS: usize = 8;

/// Where connections go first: to the upstream or to its proxy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hop {
    pub(crate) port: u16,
    /// It has to be looked up.
    pub(crate) is_name: bool,
    /// It is a Unix socket; there is no port then.
    pub(crate) is_socket: bool,
}

/// How the upstream is reached, for the start-up lines and the sandbox.
pub(crate) struct Route {
    pub(crate) first_hop: Hop,
    url: UpstreamUrl,
    /// What the environment says of a proxy.
    way: http_proxy::Way,
    /// How many certificate authorities are trusted, and who named them.
    roots: Option<(Arc<RootCertStore>, String)>,
    /// Whose listener may have the key in cleartext.
    owner: Option<ListenerOwner>,
    tls: Option<TlsConfigs>,
}

/// TLS with a server and with a proxy on the way to it, which is not to have the key.
pub(super) struct TlsConfigs {
    pub(super) server: Arc<rustls::ClientConfig>,
    pub(super) proxy: Arc<rustls::ClientConfig>,
}

/// Why there is no way to the upstream.
#[derive(Debug)]
pub(crate) enum UpstreamSetupError {
    NoRoots(NoRoots),
    Environment(EnvironmentError),
    Tls(rustls::Error),
    /// The URL cannot stand in a request.
    Url,
}

impl fmt::Display for UpstreamSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots(cause) => cause.fmt(f),
            Self::Environment(error) => error.fmt(f),
            Self::Tls(_) => f.write_str("could not set up TLS"),
            Self::Url => f.write_str("--upstream-url cannot be written as an HTTP request target"),
        }
    }
}

impl std::error::Error for UpstreamSetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(cause) => Some(cause),
            Self::NoRoots(_) | Self::Environment(_) | Self::Url => None,
        }
    }
}

impl Route {
    /// Finds the way and loads the certificate authorities, while files can still be read. It needs
    /// no key, so that what is wrong with it is said before one is asked for.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError`]: no authorities, or a variable that is not in force as it stands.
    pub(crate) fn to(url: UpstreamUrl) -> Result<Self, UpstreamSetupError> {
        let way = http_proxy::way_to(url.url()).map_err(UpstreamSetupError::Environment)?;
        let mut route = Self {
            first_hop: first_hop(url.url()),
            url,
            way,
            roots: None,
            owner: None,
            tls: None,
        };
        if route.url.socket().is_some() {
            route.first_hop = Hop {
                is_socket: true,
                ..Hop::default()
            };
        }
        if route.url.is_clear() {
            // An address, or `localhost`, which means one.
            route.first_hop.is_name = false;
        } else {
            let roots = tls_roots::load("the upstream").map_err(UpstreamSetupError::NoRoots)?;
            route.roots = Some((Arc::new(roots.store), roots.source));
            if let Some(proxy) = route.proxy() {
                route.first_hop = first_hop(&proxy.url);
            }
        }
        Ok(route)
    }

    /// Sets up TLS, where there is any. `provider` does the encryption, and by it substitutes the
    /// credential.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError::Tls`].
    pub(crate) fn encrypt_by(
        &mut self,
        provider: CryptoProvider,
    ) -> Result<(), UpstreamSetupError> {
        if let Some((roots, _)) = &self.roots {
            let both: [&[u8]; 2] = [b"h2", b"http/1.1"];
            let plain = rustls::crypto::ring::default_provider();
            self.tls = Some(TlsConfigs {
                server: tls(provider, Arc::clone(roots), &both)?,
                proxy: tls(plain, Arc::clone(roots), &[b"http/1.1"])?,
            });
        }
        Ok(())
    }

    fn proxy(&self) -> Option<&HttpProxy> {
        match &self.way {
            http_proxy::Way::Through(proxy) => Some(proxy),
            _ => None,
        }
    }

    /// Whose listener may have the key, where it goes in cleartext.
    pub(crate) fn allow_listener_of(&mut self, owner: ListenerOwner) {
        self.owner = Some(owner);
    }

    /// What lines about the upstream call it: its host, or its socket.
    pub(crate) fn name(&self) -> String {
        match self.url.socket() {
            Some(socket) => format!("unix:{}", socket.display()),
            None => {
                let host = self.url.url().host_str().unwrap_or_default();
                let port = self.url.url().port();
                port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
        }
    }

    /// Whether the key goes in cleartext, within this host.
    pub(crate) fn is_clear(&self) -> bool {
        self.url.is_clear()
    }

    /// Whether the upstream is where we ourselves listen.
    pub(crate) fn is_ourselves(&self, port: u16) -> bool {
        // We listen on these addresses alone; others of this host may be somebody else.
        let host = self.url.url().host_str();
        let is_here = matches!(host, Some("127.0.0.1" | "[::1]" | "localhost"));
        let is_tcp = self.url.socket().is_none();
        is_tcp && is_here && self.url.url().port_or_known_default() == Some(port)
    }

    /// What makes the connections. `resolver` is asked where the first hop is a name.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError::Url`] if the URL's host cannot be connected to.
    pub(crate) fn connector(&self, resolver: Resolver) -> Result<Connector, UpstreamSetupError> {
        let url = self.url.url();
        let way = match (&self.tls, &self.owner, self.url.socket()) {
            #[cfg(unix)]
            (None, Some(owner), Some(path)) => Way::Socket {
                path: path.to_owned(),
                owner: owner.clone(),
            },
            (None, Some(owner), None) => Way::Cleartext {
                address: loopback_address(url).ok_or(UpstreamSetupError::Url)?,
                owner: owner.clone(),
            },
            (Some(configs), _, None) => way_by_tls(url, self.proxy(), configs, resolver)?,
            _ => return Err(UpstreamSetupError::Url),
        };
        Ok(Connector::new(way))
    }
}

impl fmt::Display for Route {
    /// Where requests go and how, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)?;
        if let Some((roots, source)) = &self.roots {
            let count = roots.len();
            write!(f, ", TLS checked against {count} authorities from {source}")?;
        }
        match &self.way {
            http_proxy::Way::Direct => {}
            http_proxy::Way::Through(proxy) => write!(f, ", through {proxy}")?,
            http_proxy::Way::Exempt(variable, by) => {
                write!(f, ", without the proxy of {variable} ({by})")?;
            }
            http_proxy::Way::NotForCleartext(variable) => {
                write!(f, ", without the proxy of {variable} (which is for https)")?;
            }
        }
        if let Some(owner) = &self.owner {
            write!(f, ", in cleartext on this host, {owner}")?;
        }
        Ok(())
    }
}

/// TLS to the server of `url`, through `proxy` if there is one.
///
/// # Errors
///
/// [`UpstreamSetupError::Url`] if a host cannot be connected to.
pub(super) fn way_by_tls(
    url: &Url,
    proxy: Option<&HttpProxy>,
    configs: &TlsConfigs,
    resolver: Resolver,
) -> Result<Way, UpstreamSetupError> {
    let tls = Tls {
        name: server_name(url)?,
        config: Arc::clone(&configs.server),
    };
    let Some(proxy) = proxy else {
        return Ok(Way::Tls {
            tcp: Tcp::new(host_and_port(url)?, resolver),
            tls,
        });
    };
    Ok(Way::Tunnel {
        proxy: Tcp::new(host_and_port(&proxy.url)?, resolver),
        named_by: proxy.named_by,
        proxy_tls: match proxy.url.scheme() {
            "https" => Some(Tls {
                name: server_name(&proxy.url)?,
                config: Arc::clone(&configs.proxy),
            }),
            _ => None,
        },
        authorization: proxy.authorization.clone(),
        authority: authority(url).ok_or(UpstreamSetupError::Url)?,
        tls,
    })
}

pub(super) fn tls(
    provider: CryptoProvider,
    roots: Arc<RootCertStore>,
    protocols: &[&[u8]],
) -> Result<Arc<rustls::ClientConfig>, UpstreamSetupError> {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(UpstreamSetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    // A request that is sent before the server has answered could be sent again by somebody else (RFC 8446,
    // section 8), and each costs money.
    config.enable_early_data = false;
    // Records are as long as they may be: 16 KiB.
    config.max_fragment_size = None;
    Ok(Arc::new(config))
}

/// The address of a host that is this one: what `localhost` means is not left to a name service, nor to
/// whoever listens on its other address.
fn loopback_address(url: &Url) -> Option<SocketAddr> {
    let ip = match url.host()? {
        url::Host::Ipv4(ip) => IpAddr::V4(ip),
        url::Host::Ipv6(ip) => IpAddr::V6(ip),
        url::Host::Domain("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        url::Host::Domain(_) => return None,
    };
    let port = url.port_or_known_default()?;
    ip.is_loopback().then(|| SocketAddr::new(ip, port))
}

fn authority(url: &Url) -> Option<String> {
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

/// What [`Tcp`] connects to.
pub(super) fn host_and_port(url: &Url) -> Result<Uri, UpstreamSetupError> {
    let text = authority(url).map(|authority| format!("tcp://{authority}/"));
    let uri = text.and_then(|text| text.parse().ok());
    uri.ok_or(UpstreamSetupError::Url)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, UpstreamSetupError> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| UpstreamSetupError::Url)
}

pub(super) fn first_hop(url: &Url) -> Hop {
    Hop {
        port: url.port_or_known_default().unwrap_or_default(),
        is_name: matches!(url.host(), Some(url::Host::Domain(_))),
        is_socket: false,
    }
}

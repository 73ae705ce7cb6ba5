//! The way to a server other than the upstream, such as one that gives tokens: one request now and then, each on a
//! connection of its own, over HTTP/1.1.

use std::sync::Arc;

use codex_outbound::http_proxy::{HttpProxy, Way as ProxyWay};
use rustls::RootCertStore;
use url::Url;

use super::connector::{Connector, Tcp, Way};
use super::resolver::Resolver;
use super::route::{
    Hop, TlsConfigs, UpstreamSetupError, first_hop, host_and_port, tls, way_by_tls,
};

/// A server, and how it is reached.
pub(crate) struct ServiceRoute {
    url: Url,
    way: ServiceWay,
}

enum ServiceWay {
    /// In cleartext and directly, whatever the environment says of a proxy.
    Metadata,
    Tls {
        roots: Arc<RootCertStore>,
        proxy: Option<HttpProxy>,
    },
}

/// TLS for what does not speak HTTP, checked against `roots`.
///
/// # Errors
///
/// [`UpstreamSetupError::Tls`].
pub(crate) fn tls_without_http(
    roots: Arc<RootCertStore>,
) -> Result<Arc<rustls::ClientConfig>, UpstreamSetupError> {
    tls(rustls::crypto::ring::default_provider(), roots, &[])
}

impl ServiceRoute {
    /// By TLS, checked against `roots`, the way that the environment asks for.
    pub(crate) fn by_tls(url: Url, way: ProxyWay, roots: Arc<RootCertStore>) -> Self {
        let proxy = match way {
            ProxyWay::Through(proxy) => Some(proxy),
            ProxyWay::Direct | ProxyWay::Exempt(..) | ProxyWay::NotForCleartext(_) => None,
        };
        Self {
            url,
            way: ServiceWay::Tls { roots, proxy },
        }
    }

    /// To a metadata service, which answers machines of its own network alone: without TLS, and past any proxy.
    pub(crate) fn to_metadata(url: Url) -> Self {
        Self {
            url,
            way: ServiceWay::Metadata,
        }
    }

    /// What is asked for there.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Where connections go first.
    pub(crate) fn first_hop(&self) -> Hop {
        match &self.way {
            ServiceWay::Tls {
                proxy: Some(proxy), ..
            } => first_hop(&proxy.url),
            ServiceWay::Tls { proxy: None, .. } | ServiceWay::Metadata => first_hop(&self.url),
        }
    }

    /// What makes the connections. `resolver` is asked where the first hop is a name.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError::Url`] if a host cannot be connected to, [`UpstreamSetupError::Tls`].
    pub(crate) fn connector(&self, resolver: Resolver) -> Result<Connector, UpstreamSetupError> {
        let way = match &self.way {
            ServiceWay::Metadata => Way::Metadata {
                tcp: Tcp::new(host_and_port(&self.url)?, resolver),
            },
            ServiceWay::Tls { roots, proxy } => {
                let provider = rustls::crypto::ring::default_provider;
                let http_1: [&[u8]; 1] = [b"http/1.1"];
                let configs = TlsConfigs {
                    server: tls(provider(), Arc::clone(roots), &http_1)?,
                    proxy: tls(provider(), Arc::clone(roots), &http_1)?,
                };
                way_by_tls(&self.url, proxy.as_ref(), &configs, resolver)?
            }
        };
        Ok(Connector::new(way))
    }
}

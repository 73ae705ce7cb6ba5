//! Connections to the server.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use codex_deadline::within;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::address::{Place, StoreAddress};
use crate::bounded::Bounded;

/// How long a connection may take to come about: look-up, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks a name up.
pub type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// What is needed of a connection, whatever it is made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Makes connections to one server.
#[derive(Clone)]
pub struct Dialer {
    address: StoreAddress,
    tls: Option<Arc<ClientConfig>>,
    lookup: Lookup,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

impl Dialer {
    /// `tls` is for an address with `rediss`; `lookup` is asked where the host is a name.
    #[must_use]
    pub fn new(address: StoreAddress, tls: Option<Arc<ClientConfig>>, lookup: Lookup) -> Self {
        Self {
            address,
            tls,
            lookup,
        }
    }

    /// Where they lead.
    #[must_use]
    pub fn address(&self) -> &StoreAddress {
        &self.address
    }

    pub(crate) async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let dialled = within(CONNECT_TIMEOUT, self.connect()).await;
        let stream = dialled.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(Box::new(Bounded::new(stream)))
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match &self.address.place {
            #[cfg(unix)]
            Place::Socket(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Place::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
            Place::Tcp { host, port, tls } => {
                let tcp = self.connect_to(host, *port).await?;
                tcp.set_nodelay(true)?;
                if !tls {
                    return Ok(Box::new(tcp));
                }
                let config = self.tls.clone().ok_or(io::ErrorKind::Unsupported)?;
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let secured = TlsConnector::from(config).connect(name, tcp).await?;
                Ok(Box::new(secured))
            }
        }
    }

    async fn connect_to(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => (self.lookup)(host.to_owned()).await?,
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in addresses {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

//! Where requests go, and the key with them.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Url;

/// Where the key may go: https anywhere, http to this host only, no user info; or a Unix socket.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamUrl {
    /// Of a Unix socket: what the server behind it is asked for.
    url: Url,
    socket: Option<PathBuf>,
}

/// What is asked for on a Unix socket unless its URL says.
const SOCKET_TARGET: &str = "/v1/responses";

/// What is wrong with `--upstream-url`.
#[derive(Debug)]
pub(crate) enum UpstreamUrlError {
    NotAUrl(String),
    Scheme(String),
    UserInfo,
    ClearText(String),
    Fragment,
    Socket,
}

impl fmt::Display for UpstreamUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("--upstream-url ")?;
        match self {
            Self::NotAUrl(cause) => write!(
                f,
                "is not an absolute URL ({cause}); write it like {}",
                crate::config::args::DEFAULT_UPSTREAM
            ),
            Self::Scheme(scheme) => {
                write!(f, "has the scheme {scheme}; only https can carry the key")
            }
            Self::UserInfo => f.write_str(
                "has user info before the host; the key is the only credential sent, remove it",
            ),
            Self::ClearText(host) => write!(
                f,
                "is plain http to {host}, so the key would cross the network in cleartext; \
                 use https (http is accepted for 127.0.0.1, [::1] and localhost)"
            ),
            Self::Fragment => f.write_str(
                "has a fragment, which is not sent; take off what begins with #, or write it as %23",
            ),
            Self::Socket => f.write_str(
                "names a Unix socket without an absolute path; write it as unix:/PATH, or as \
                 unix:/PATH:/TARGET if requests are not for /v1/responses there",
            ),
        }
    }
}

impl std::error::Error for UpstreamUrlError {}

impl UpstreamUrl {
    /// # Errors
    ///
    /// [`UpstreamUrlError`], in words that say what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, UpstreamUrlError> {
        if let Some(socket) = text.strip_prefix("unix:") {
            return Self::parse_socket(socket);
        }
        let url = Url::parse(text).map_err(|cause| UpstreamUrlError::NotAUrl(cause.to_string()))?;
        let clear = match url.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(UpstreamUrlError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UpstreamUrlError::UserInfo);
        }
        let host = url.host_str().unwrap_or_default();
        if clear && !is_loopback(host) {
            return Err(UpstreamUrlError::ClearText(host.to_owned()));
        }
        if url.fragment().is_some() {
            return Err(UpstreamUrlError::Fragment);
        }
        Ok(Self { url, socket: None })
    }

    fn parse_socket(text: &str) -> Result<Self, UpstreamUrlError> {
        let (path, target) = text.split_once(':').unwrap_or((text, SOCKET_TARGET));
        let url = Url::parse(&format!("http://localhost{target}"))
            .map_err(|cause| UpstreamUrlError::NotAUrl(cause.to_string()))?;
        if !path.starts_with('/') || !target.starts_with('/') {
            return Err(UpstreamUrlError::Socket);
        }
        if url.fragment().is_some() {
            return Err(UpstreamUrlError::Fragment);
        }
        Ok(Self {
            url,
            socket: Some(PathBuf::from(path)),
        })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The Unix socket to connect to, if it is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// What to write instead, if this looks like the base URL that clients are given, to which they add
    /// the path of a call: the path does not end in `/responses`.
    pub(crate) fn if_it_is_a_base(&self) -> Option<String> {
        let path = self.url.path();
        if path.ends_with("/responses") {
            return None;
        }
        let path = path.trim_end_matches('/');
        let whole = match path {
            "" => SOCKET_TARGET.to_owned(),
            path if path.ends_with("/responses") => path.to_owned(),
            path => format!("{path}/responses"),
        };
        let mut url = self.url.clone();
        url.set_path(&whole);
        let socket = self.socket.clone();
        Some(Self { url, socket }.to_string())
    }

    /// Whether this is OpenAI's API.
    pub(crate) fn is_default(&self) -> bool {
        self.socket.is_none() && self.url.as_str() == crate::config::args::DEFAULT_UPSTREAM
    }

    /// Whether the key travels without TLS, which is on this host only.
    pub(crate) fn is_clear(&self) -> bool {
        self.url.scheme() == "http"
    }
}

impl fmt::Display for UpstreamUrl {
    /// Without what is in the query: some services take a credential there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix:{}:{}", socket.display(), self.url.path())?,
            None => write!(
                f,
                "{}{}",
                self.url.origin().ascii_serialization(),
                self.url.path()
            )?,
        }
        if self.url.query().is_some() {
            f.write_str("?...")?;
        }
        Ok(())
    }
}

/// Whether a URL's host is this host, by its address or by its one fixed name.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;

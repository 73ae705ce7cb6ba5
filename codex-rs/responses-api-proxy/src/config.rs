//! From what was typed to what it means; no invalid value exists past here.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::args::{Args, Sandbox};
use crate::limits::Limits;
use crate::unix_socket::UnixSocketConfig;

/// Everything the proxy was told, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// 0 lets the system choose; `None` if there is a Unix socket instead.
    pub(crate) port: Option<u16>,
    pub(crate) unix_socket: Option<UnixSocketConfig>,
    pub(crate) server_info: Option<PathBuf>,
    pub(crate) http_shutdown: bool,
    pub(crate) preconnect: bool,
    /// Threads that serve; `None`: one for each processor.
    pub(crate) threads: Option<usize>,
    pub(crate) upstream: UpstreamUrl,
    pub(crate) upstream_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) drain_timeout: Duration,
    pub(crate) user: Option<String>,
    pub(crate) allow_users: Vec<String>,
    pub(crate) allow_groups: Vec<String>,
    pub(crate) client_tokens: ClientTokens,
    pub(crate) sandbox: Sandbox,
    pub(crate) allow_unlocked_key: bool,
}

/// Which client tokens are asked for.
#[derive(Debug)]
pub(crate) enum ClientTokens {
    None,
    /// Those of a file.
    File(PathBuf),
    /// One that is made at the start and written to the server-info file.
    Generated,
}

/// Where the key may go: https anywhere, http to this host only, no user info.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamUrl(Url);

/// What is wrong with `--upstream-url`.
#[derive(Debug)]
pub(crate) enum UpstreamUrlError {
    NotAUrl(String),
    Scheme(String),
    UserInfo,
    ClearText(String),
}

impl fmt::Display for UpstreamUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("--upstream-url ")?;
        match self {
            Self::NotAUrl(cause) => write!(
                f,
                "is not an absolute URL ({cause}); write it like {}",
                crate::args::DEFAULT_UPSTREAM
            ),
            Self::Scheme(scheme) => {
                write!(f, "has the scheme {scheme}; only https can carry the key")
            }
            Self::UserInfo => f.write_str(
                "has user info before the host; the key is the only credential sent, remove it",
            ),
            Self::ClearText(host) => write!(
                f,
                "is plain http to {host}, so the key would cross the network in clear; \
                 use https (http is accepted for 127.0.0.1, [::1] and localhost)"
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
        let mut url =
            Url::parse(text).map_err(|cause| UpstreamUrlError::NotAUrl(cause.to_string()))?;
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
        url.set_fragment(None);
        Ok(Self(url))
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether the key travels without TLS, which is on this host only.
    pub(crate) fn is_clear(&self) -> bool {
        self.0.scheme() == "http"
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

impl TryFrom<Args> for Config {
    type Error = UpstreamUrlError;

    fn try_from(args: Args) -> Result<Self, Self::Error> {
        Ok(Self {
            port: match (args.port, &args.listen) {
                (None, Some(_)) => None,
                (port, _) => Some(port.unwrap_or(0)),
            },
            unix_socket: args.listen.map(|path| UnixSocketConfig {
                path,
                mode: args.socket_mode,
                group: args.socket_group,
            }),
            server_info: args.server_info,
            http_shutdown: args.http_shutdown,
            preconnect: args.preconnect,
            threads: args.threads,
            upstream: UpstreamUrl::parse(&args.upstream_url)?,
            upstream_timeout: args.upstream_timeout,
            limits: Limits {
                header_timeout: args.header_timeout,
                body_timeout: args.body_timeout,
                max_body: args.max_body,
                max_connections: args.max_connections,
                max_connections_per_user: args.max_connections_per_user,
                max_requests: args.max_requests,
            },
            drain_timeout: args.drain_timeout,
            user: args.user,
            allow_users: args.allow_users,
            allow_groups: args.allow_groups,
            client_tokens: match args.client_token_file {
                Some(file) => ClientTokens::File(file),
                None if args.require_client_token => ClientTokens::Generated,
                None => ClientTokens::None,
            },
            sandbox: args.sandbox,
            allow_unlocked_key: args.allow_unlocked_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_keeps_its_query() {
        let upstream =
            UpstreamUrl::parse("https://example.com/v1/responses?api-version=1").unwrap();
        assert!(!upstream.is_clear());
        assert_eq!(upstream.url().query(), Some("api-version=1"));
    }

    #[test]
    fn http_stays_on_this_host() {
        for url in [
            "http://127.0.0.1:1/x",
            "http://127.8.9.10/x",
            "http://[::1]:9/x",
            "http://localhost/x",
            "http://LOCALHOST/x",
        ] {
            assert!(UpstreamUrl::parse(url).unwrap().is_clear(), "{url}");
        }
        for url in [
            "http://10.0.0.1/x",
            "http://0.0.0.0/x",
            "http://[::]/x",
            "http://localhost.example.com/x",
            "http://127.0.0.1.example.com/x",
        ] {
            assert!(
                matches!(UpstreamUrl::parse(url), Err(UpstreamUrlError::ClearText(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn the_rest_is_refused_for_its_own_reason() {
        use UpstreamUrlError::{NotAUrl, Scheme, UserInfo};
        assert!(matches!(UpstreamUrl::parse("nope"), Err(NotAUrl(_))));
        assert!(matches!(UpstreamUrl::parse(""), Err(NotAUrl(_))));
        assert!(matches!(UpstreamUrl::parse("https://"), Err(NotAUrl(_))));
        assert!(matches!(
            UpstreamUrl::parse("ftp://example.com/"),
            Err(Scheme(_))
        ));
        assert!(matches!(
            UpstreamUrl::parse("file:///etc/passwd"),
            Err(Scheme(_))
        ));
        assert!(matches!(
            UpstreamUrl::parse("https://me@example.com/"),
            Err(UserInfo)
        ));
        assert!(matches!(
            UpstreamUrl::parse("https://:pw@example.com/"),
            Err(UserInfo)
        ));
    }

    #[test]
    fn an_error_does_not_repeat_user_info() {
        let error = UpstreamUrl::parse("https://me:hunter2@example.com/").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}

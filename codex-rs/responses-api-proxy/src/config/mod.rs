//! From what was typed to what it means; no invalid value exists past here.

pub(crate) mod args;
pub(crate) mod command;
pub(crate) mod credential_source;
pub(crate) mod environment;
pub(crate) mod key_source;
pub(crate) mod limits;
pub(crate) mod metrics_place;
pub(crate) mod paths;
pub(crate) mod units;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_ledger::Limit;
use codex_policy::ModelGlob;
use url::Url;

use crate::config::args::{Args, BudgetMode, LogFormat, Sandbox};
use crate::config::credential_source::CredentialSource;
use crate::config::key_source::{KeySourceConfig, NoCredentials};
use crate::config::limits::Limits;
use crate::config::metrics_place::MetricsPlace;
use crate::net::unix_socket::UnixSocketConfig;

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
    pub(crate) credential: CredentialSource,
    pub(crate) upstream: UpstreamUrl,
    pub(crate) upstream_timeout: Duration,
    /// Users besides root and ourselves whose listener may have the key in cleartext.
    pub(crate) upstream_users: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) drain_timeout: Duration,
    pub(crate) user: Option<String>,
    pub(crate) allow_users: Vec<String>,
    pub(crate) allow_groups: Vec<String>,
    pub(crate) client_tokens: ClientTokens,
    pub(crate) sandbox: Sandbox,
    pub(crate) allow_unlocked_key: bool,
    /// `None`: text on a terminal, faults alone elsewhere.
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) access_log: Option<PathBuf>,
    /// `None`: nobody is told any.
    pub(crate) metrics: Option<MetricsPlace>,
    pub(crate) dump_dir: Option<PathBuf>,
    /// In bytes.
    pub(crate) dump_limit: u64,
    pub(crate) audit_log: Option<PathBuf>,
    /// Requests are refused rather than served without a record in the audit log.
    pub(crate) audit_required: bool,
    /// A file of prices that override those built in.
    pub(crate) prices: Option<PathBuf>,
    /// `None`: everybody may ask for anything.
    pub(crate) policy: Option<PolicySource>,
    pub(crate) budget_mode: BudgetMode,
    /// A file of what was spent.
    pub(crate) ledger: Option<PathBuf>,
}

/// Where it is said what callers may ask for and spend.
#[derive(Debug)]
pub(crate) enum PolicySource {
    File(PathBuf),
    /// The flags, for all callers together.
    Flags {
        models: Vec<ModelGlob>,
        limits: Vec<Limit>,
    },
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

/// What is wrong with what was typed.
#[derive(Debug)]
pub(crate) enum ConfigError {
    Upstream(UpstreamUrlError),
    /// `--upstream-user` where it means nothing.
    UpstreamUser,
    /// `--key-credential` outside of a service.
    NoCredentials(NoCredentials),
    /// `--ledger` or `--budget-mode` without anything to keep to.
    NoPolicy,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => error.fmt(f),
            Self::NoCredentials(error) => error.fmt(f),
            Self::NoPolicy => f.write_str(
                "--ledger and --budget-mode are about limits, and there are none; give some with --policy or --budget",
            ),
            Self::UpstreamUser => f.write_str(
                "--upstream-user is about an upstream on this host (http://127.0.0.1 or unix:), and \
                 --upstream-url names another one; leave it out",
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl TryFrom<Args> for Config {
    type Error = ConfigError;

    fn try_from(args: Args) -> Result<Self, Self::Error> {
        let upstream = UpstreamUrl::parse(&args.upstream_url).map_err(ConfigError::Upstream)?;
        if !upstream.is_clear() && !args.upstream_users.is_empty() {
            return Err(ConfigError::UpstreamUser);
        }
        let is_limited =
            args.policy.is_some() || !args.allow_models.is_empty() || !args.budgets.is_empty();
        if !is_limited && (args.ledger.is_some() || args.budget_mode != BudgetMode::Expected) {
            return Err(ConfigError::NoPolicy);
        }
        let keys = KeySourceConfig::from_args(args.key, args.key_command);
        let keys = keys.map_err(ConfigError::NoCredentials)?;
        let credential = keys.map_or(CredentialSource::Stdin, CredentialSource::Keys);
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
            credential,
            upstream,
            upstream_timeout: args.upstream_timeout,
            upstream_users: args.upstream_users,
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
            log_format: args.log_format,
            access_log: args.access_log,
            metrics: args.metrics,
            dump_dir: args.dump_dir,
            dump_limit: args.dump_limit,
            audit_log: args.audit_log,
            audit_required: args.audit_required,
            prices: args.prices,
            policy: match args.policy {
                Some(file) => Some(PolicySource::File(file)),
                None if args.allow_models.is_empty() && args.budgets.is_empty() => None,
                None => Some(PolicySource::Flags {
                    models: args.allow_models,
                    limits: args.budgets,
                }),
            },
            budget_mode: args.budget_mode,
            ledger: args.ledger,
        })
    }
}

#[cfg(test)]
mod tests;

//! From what was typed to what it means; no invalid value exists past here.

pub(crate) mod args;
pub(crate) mod command;
pub(crate) mod control_args;
pub(crate) mod credential_source;
pub(crate) mod environment;
pub(crate) mod identity_args;
pub(crate) mod key_source;
pub(crate) mod ledger_place;
pub(crate) mod lifecycle_args;
pub(crate) mod limits;
pub(crate) mod metrics_place;
pub(crate) mod paths;
pub(crate) mod preconnect;
pub(crate) mod units;
mod upstream_url;
pub(crate) mod workload;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use codex_ledger::Limit;
use codex_policy::ModelGlob;

use crate::config::args::{Args, BudgetMode, LogFormat, Sandbox};
use crate::config::credential_source::CredentialSource;
use crate::config::key_source::{KeySourceConfig, NoCredentials};
use crate::config::ledger_place::{LedgerPlace, LedgerPlaceError};
use crate::config::lifecycle_args::LifecycleArgs;
use crate::config::limits::Limits;
use crate::config::metrics_place::MetricsPlace;
use crate::config::preconnect::Preconnect;
use crate::config::workload::{WorkloadConfigError, credential_source};
use crate::net::unix_socket::UnixSocketConfig;

pub(crate) use self::upstream_url::{UpstreamUrl, UpstreamUrlError};

/// Everything the proxy was told, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// 0 lets the system choose; `None` if nothing was said of it.
    pub(crate) port: Option<u16>,
    pub(crate) unix_socket: Option<UnixSocketConfig>,
    pub(crate) server_info: Option<PathBuf>,
    pub(crate) http_shutdown: bool,
    /// `None`: the upstream is not asked at the start.
    pub(crate) preconnect: Option<Preconnect>,
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
    /// Where the proxy is asked how it is.
    pub(crate) control: Option<UnixSocketConfig>,
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
    /// Where it is kept what was spent.
    pub(crate) ledger: Option<LedgerPlace>,
    /// When it ends by itself, and whom it tells that it is ready.
    pub(crate) lifecycle: LifecycleArgs,
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
    /// Of `--ledger` and what belongs to it.
    Ledger(LedgerPlaceError),
    /// Of workload identity.
    Workload(WorkloadConfigError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => error.fmt(f),
            Self::NoCredentials(error) => error.fmt(f),
            Self::Workload(error) => error.fmt(f),
            Self::Ledger(error) => error.fmt(f),
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
        let ledger = LedgerPlace::from_args(args.ledger, args.shared_ledger);
        let ledger = ledger.map_err(ConfigError::Ledger)?;
        let keys = KeySourceConfig::from_args(args.key, args.key_command);
        let keys = keys.map_err(ConfigError::NoCredentials)?;
        let credential = match keys {
            Some(keys) => CredentialSource::Keys(keys),
            None => credential_source(args.identity, upstream.is_default())
                .map_err(ConfigError::Workload)?,
        };
        Ok(Self {
            port: args.port,
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
            control: args.control.socket(),
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
            ledger,
            lifecycle: args.lifecycle,
        })
    }
}

//! The flags as typed. What they mean is decided in `config/mod.rs`.

use std::path::PathBuf;
use std::time::Duration;

use codex_ledger::Limit;
use codex_policy::{ModelGlob, parse_limit};

use crate::config::command::ProxyCommand;
use crate::config::control_args::ControlArgs;
use crate::config::identity_args::{FeatureArgs, IdentityArgs};
use crate::config::key_source::{KeyArgs, KeyCommandArgs};
use crate::config::ledger_place::SharedLedgerArgs;
use crate::config::lifecycle_args::LifecycleArgs;
use crate::config::metrics_place::{MetricsPlace, parse_metrics_place};
use crate::config::preconnect::Preconnect;
use crate::config::units::{parse_count, parse_duration, parse_size};

/// Where the key goes unless told otherwise.
pub(crate) const DEFAULT_UPSTREAM: &str = "https://api.openai.com/v1/responses";

/// Let other users of this host call the OpenAI Responses API with a key they cannot read
///
/// Reads an API key, listens on 127.0.0.1 and forwards `POST /v1/responses` to the upstream with that key in the
/// Authorization header, whatever the caller sent there. Answers are streamed back as they arrive. Everything else is
/// refused with 403.
///
/// By default the key comes from standard input. `--key-file`, `--key-credential`, `--key-fd` and `--key-command`
/// read it from elsewhere, and a workload identity (`--github-oidc`, `--identity-token-file`, `--azure-imds`,
/// `--google-metadata`) replaces it with short-lived tokens. The key is never taken from an argument, which `ps`
/// shows, or from the proxy's environment, which `/proc/PID/environ` shows.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "codex-responses-api-proxy",
    version = codex_version::VERSION,
    max_term_width = 100,
    after_help = EXAMPLES,
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
)]
pub struct Args {
    /// What to do in the place of serving
    #[command(subcommand)]
    pub command: Option<ProxyCommand>,

    // Flattened arguments have no help of their own, and clap takes no doc comment for them.
    #[allow(missing_docs)]
    #[command(flatten)]
    pub key: KeyArgs,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub key_command: KeyCommandArgs,

    /// Port to listen on at 127.0.0.1, and at ::1 if it is free there; 0 or unset picks a free port
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Unix socket to listen on, as `unix:/PATH`; in addition to `--port` if given, else instead
    #[arg(long, value_name = "unix:PATH", value_parser = parse_listen)]
    pub listen: Option<PathBuf>,

    /// Permissions of the Unix socket, in octal; connecting requires write permission
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = parse_mode, requires = "listen")]
    pub socket_mode: u32,

    /// Group of the Unix socket
    #[arg(long, value_name = "GROUP", requires = "listen")]
    pub socket_group: Option<String>,

    /// File to write `{"port":N,"pid":N}` to once connections are accepted
    ///
    /// One line, written in place and removed on exit. Parent directories are created. The file is refused if it is a
    /// symbolic link, has more than one hard link, belongs to another user, or holds anything else.
    #[arg(long, value_name = "FILE")]
    pub server_info: Option<PathBuf>,

    /// Answer `GET /shutdown`: finish requests in flight, then exit
    ///
    /// Anyone who can reach the port can then stop the proxy. A second request makes it exit at once.
    #[arg(long)]
    pub http_shutdown: bool,

    /// Absolute URL to send requests to, used as it stands, or a Unix socket as `unix:/PATH`
    ///
    /// Plain http is accepted only for a loopback address, because the key would otherwise cross the network in
    /// cleartext; `localhost` means 127.0.0.1. Over plain http and on a Unix socket, the key goes only to a listener
    /// that belongs to root, to the user that the proxy runs as, or to a user named by `--upstream-user`. On a Unix
    /// socket, requests are for /v1/responses, or for the target in `unix:/PATH:/TARGET`.
    #[arg(long, value_name = "URL", default_value = DEFAULT_UPSTREAM)]
    pub upstream_url: String,

    /// User whose listener may receive the key in cleartext, by name or number (repeatable; Linux)
    #[arg(long = "upstream-user", value_name = "USER")]
    pub upstream_users: Vec<String>,

    /// How long the upstream may take to begin its answer (`90`, `90s`, `10m`); then 504
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub upstream_timeout: Duration,

    /// Send the upstream an empty request at startup, so the first caller finds an open connection
    ///
    /// The body is an empty object, which the upstream answers with an error and does not charge for. If the upstream
    /// is out of reach or refuses the key, a line says so; with `--preconnect=require`, a refused key makes startup
    /// fail.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "report")]
    pub preconnect: Option<Preconnect>,

    /// Largest request body (`1048576`, `64MiB`); larger ones get 413
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub max_body: u64,

    /// User who may call, by name or number (repeatable)
    ///
    /// Without `--allow-user` and `--allow-group`, every user of this host may call.
    #[arg(long = "allow-user", value_name = "USER")]
    pub allow_users: Vec<String>,

    /// Group whose members may call (repeatable); membership is looked up at startup
    #[arg(long = "allow-group", value_name = "GROUP")]
    pub allow_groups: Vec<String>,

    /// File of client tokens, one `NAME:SHA256` per line; callers must send one as their API key
    ///
    /// It is read again on SIGHUP. To make a line, with the token from standard input: printf 'NAME:';
    /// tr -d '\n' | sha256sum | cut -c1-64
    #[arg(long, value_name = "FILE")]
    pub client_token_file: Option<PathBuf>,

    /// Generate a client token and write it to the server-info file, which only its owner can read
    #[arg(long, requires = "server_info", conflicts_with = "client_token_file")]
    pub require_client_token: bool,

    /// How long a request head may take to arrive; then 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub header_timeout: Duration,

    /// How long a request body may stall while the upstream is ready for more; then 408
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub body_timeout: Duration,

    /// Maximum connections at once; an idle one of the user with the most makes room for a new one
    #[arg(long, value_name = "N", default_value = "8192", value_parser = parse_count)]
    pub max_connections: usize,

    /// Maximum connections of one user at once, then 429; half of all by default (Linux)
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub max_connections_per_user: Option<usize>,

    /// Maximum requests in flight at once; then 503
    #[arg(long, value_name = "N", default_value = "8192", value_parser = parse_count)]
    pub max_requests: usize,

    /// Number of threads that serve; one per processor by default
    ///
    /// Each thread has its own connections to the upstream. While callers have eight connections or fewer, only the
    /// first thread works.
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub threads: Option<usize>,

    /// User to run as once everything is open; requires root
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Whether to give up capabilities, files, ports and system calls that serving does not need
    ///
    /// The start-up lines list what was given up.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Sandbox::BestEffort)]
    pub sandbox: Sandbox,

    /// Start even if the key's memory cannot be kept out of swap
    #[arg(long)]
    pub allow_unlocked_key: bool,

    /// How to log requests on standard error; default: text on a terminal, elsewhere only faults
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// File to append a JSON object to for each request: caller, request, outcome, tokens, cost
    ///
    /// It is opened before privileges are given up, and reopened on SIGHUP. If the proxy creates it, only its owner
    /// and group can read it. docs/observing.md describes the fields.
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,

    /// Where to serve Prometheus metrics: `127.0.0.1:PORT`, `[::1]:PORT` or `unix:/PATH`
    ///
    /// The proxy answers `GET /metrics` there. Metrics show who calls, how often and at what cost. On a port, every
    /// user of this host can read them; a Unix socket is open to its owner only. Port 0 picks a free port, which a
    /// start-up line names.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_metrics_place)]
    pub metrics: Option<MetricsPlace>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub control: ControlArgs,

    /// Directory for JSON dumps of each request and answer, bodies included; created if missing
    ///
    /// Files are named NNNNNN-MILLISECONDS-request.json and -response.json, and only their owner can read them. The
    /// key, the caller's token and header values that are not listed as harmless are replaced. The directory must
    /// belong to the user that the proxy runs as, and others must not be able to write to it. docs/observing.md has
    /// an example.
    #[arg(long, value_name = "DIR")]
    pub dump_dir: Option<PathBuf>,

    /// Maximum size of all dumps together; the oldest are removed to make room
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size, requires = "dump_dir")]
    pub dump_limit: u64,
    /// File to append the objects of the access log to, as a hash chain
    ///
    /// Each line has the hash of the line before it, as `prev`. `codex responses-api-proxy audit verify FILE` finds
    /// later changes. The proxy continues the chain of an existing file, and prints the hash of the last line at its
    /// end.
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// Refuse requests with 503 while the audit log cannot be written
    #[arg(long, requires = "audit_log")]
    pub audit_required: bool,

    /// TOML file of prices that override the built-in ones
    ///
    /// Tables `[prices."MODEL"]` with `input`, `cached_input` and `output` in US dollars per million tokens.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,

    /// TOML file that says what callers may ask for and spend
    ///
    /// It covers models, shapes of requests, and limits by user, group and token. It is read again on SIGHUP.
    /// docs/budgets.md describes its tables. `codex responses-api-proxy policy check FILE` reports what is wrong with
    /// a file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["allow_models", "budgets"])]
    pub policy: Option<PathBuf>,

    /// Model that callers may ask for (repeatable); `*` stands for any text, `?` for any character
    #[arg(long = "allow-model", value_name = "GLOB", value_parser = str::parse::<ModelGlob>)]
    pub allow_models: Vec<ModelGlob>,

    /// Limit on what all callers together may spend, such as `usd=20/day` (repeatable)
    ///
    /// Other examples: `tokens=5000000/24h`, `requests=60/minute`. A limit is per minute, hour, day or month (in
    /// UTC), per process, or for a sliding window of any length, such as 24h. In a `--policy` file, each user, group
    /// and token can have its own limits.
    #[arg(long = "budget", value_name = "LIMIT", value_parser = parse_limit)]
    pub budgets: Vec<Limit>,

    /// What to reserve for a request before it is sent: its expected cost, or the most it can cost
    #[arg(long, value_enum, value_name = "MODE", default_value_t = BudgetMode::Expected)]
    pub budget_mode: BudgetMode,

    /// File that keeps what was spent across restarts, or URL of a server that hosts share
    ///
    /// Without it, what was spent is forgotten when the proxy exits. A server is `redis://HOST:PORT/DB`,
    /// `rediss://HOST:PORT/DB` (TLS) or `redis+unix:/PATH`. Hosts with the same policy and the same server (Redis 7
    /// or Valkey) share its limits; see docs/fleet.md.
    #[arg(long, value_name = "FILE|URL")]
    pub ledger: Option<PathBuf>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub shared_ledger: SharedLedgerArgs,

    /// How long answers in flight may continue after a signal or a shutdown request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub drain_timeout: Duration,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub lifecycle: LifecycleArgs,

    /// Whose identity to show for an access token
    #[command(flatten)]
    pub identity: IdentityArgs,

    /// Without an effect
    #[command(flatten)]
    pub features: FeatureArgs,
}

/// What is reserved for a request before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BudgetMode {
    /// The probable cost, learned from other requests
    Expected,
    /// The most it can cost; the request must set max_output_tokens
    Strict,
}

pub(crate) fn parse_listen(text: &str) -> Result<PathBuf, &'static str> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        _ => Err("write it as unix:/PATH; for TCP there is --port"),
    }
}

pub(crate) fn parse_mode(text: &str) -> Result<u32, &'static str> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|&mode| mode <= 0o777)
        .ok_or("permissions are three octal digits, such as 660")
}

/// How much of a sandbox there has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sandbox {
    /// Apply all of it or refuse to start; a system call that is not listed ends the process
    Require,
    /// Apply what the kernel supports; a system call that is not listed fails and is reported
    BestEffort,
    /// No sandbox
    Off,
}

/// What standard error gets of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A human-readable line: time, caller, model, status, times, tokens, cost
    Text,
    /// The line of the access log; all other lines but the first are JSON objects too
    Json,
}

const EXAMPLES: &str = "\
Examples:
  Key typed or pasted; only the user agent may call:
    codex responses-api-proxy --port 8787 --allow-user agent

  Key from an environment variable that the proxy itself does not get:
    printenv OPENAI_API_KEY | env -u OPENAI_API_KEY \\
      codex responses-api-proxy --allow-user agent --server-info \"$XDG_RUNTIME_DIR/codex-proxy.json\"

  Key from a file that only root can read; the proxy runs as the user codex-proxy:
    sudo codex responses-api-proxy --port 8787 --allow-user agent \\
      --user codex-proxy --key-file /etc/codex-proxy/key

  Then, as that user:
    curl -sN http://127.0.0.1:8787/v1/responses -H 'content-type: application/json' \\
      -d '{\"model\":\"gpt-5\",\"input\":\"Say hi\",\"stream\":true}'

Environment:
  HTTPS_PROXY, ALL_PROXY, NO_PROXY   reach an https upstream through a CONNECT proxy
  SSL_CERT_FILE, SSL_CERT_DIR        certificate authorities to trust instead of the system's
  Each variable that is set takes effect, or the proxy refuses to start and names it.

Exit status: 0 after a shutdown, 1 on failure, 2 for a wrong command line.";

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

/// Lets other users of this host call the OpenAI Responses API with a key they cannot read
///
/// Reads an API key from standard input, listens on 127.0.0.1 and forwards `POST /v1/responses`
/// to the upstream with that key in the Authorization header, whatever the caller sent there.
/// Answers are streamed back as they arrive. Everything else is refused with 403.
///
/// The key is only ever taken from standard input: it never is in the arguments, where `ps`
/// shows it, nor in the environment of the proxy, where `/proc/PID/environ` does.
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

    /// Port to listen on, on 127.0.0.1, and on ::1 if it is free there; 0 or none: one that is free
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Unix socket to listen on, as `unix:/PATH`; beside the port if `--port` is given, else instead
    #[arg(long, value_name = "unix:PATH", value_parser = parse_listen)]
    pub listen: Option<PathBuf>,

    /// Permissions of the Unix socket, in octal; to connect takes write permission
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = parse_mode, requires = "listen")]
    pub socket_mode: u32,

    /// Group of the Unix socket
    #[arg(long, value_name = "GROUP", requires = "listen")]
    pub socket_group: Option<String>,

    /// File to write `{"port":N,"pid":N}` to once connections are accepted
    ///
    /// One line, written in place and removed on exit. Parent directories are made. A symbolic
    /// link, a file with several names or of another user, and one that holds anything else are refused.
    #[arg(long, value_name = "FILE")]
    pub server_info: Option<PathBuf>,

    /// Answer `GET /shutdown`: finish what is in flight, then exit
    ///
    /// Anybody who can reach the port can then stop the proxy. A second request exits at once.
    #[arg(long)]
    pub http_shutdown: bool,

    /// Where requests go: one absolute URL, used as it stands, or a Unix socket as `unix:/PATH`
    ///
    /// Plain http is accepted for a loopback address only, since the key would cross the network
    /// in cleartext; `localhost` is 127.0.0.1. There, and on a Unix socket, the key goes only to a
    /// listener of root, of the user that the proxy runs as, or of `--upstream-user`. On a socket
    /// requests are for /v1/responses, or for what follows as in `unix:/PATH:/TARGET`.
    #[arg(long, value_name = "URL", default_value = DEFAULT_UPSTREAM)]
    pub upstream_url: String,

    /// User whose listener may have the key in cleartext, by name or number (repeatable; Linux)
    #[arg(long = "upstream-user", value_name = "USER")]
    pub upstream_users: Vec<String>,

    /// How long the upstream may take to begin its answer (`90`, `90s`, `10m`); then 504
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub upstream_timeout: Duration,

    /// Ask the upstream for nothing at the start, so that the connection is there for the first caller
    ///
    /// The request has an empty object for a body, which is answered with an error and costs
    /// nothing. A line says so if the upstream is out of reach or refuses the key; with
    /// `--preconnect=require` a refused key ends the start.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "report")]
    pub preconnect: Option<Preconnect>,

    /// Largest request body (`1048576`, `64MiB`); larger ones get 413
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub max_body: u64,

    /// User that may call, by name or number (repeatable); without any, everybody on this host may
    #[arg(long = "allow-user", value_name = "USER")]
    pub allow_users: Vec<String>,

    /// Group whose members may call (repeatable); who is a member is looked up at the start
    #[arg(long = "allow-group", value_name = "GROUP")]
    pub allow_groups: Vec<String>,

    /// File of client tokens, a line `NAME:SHA256` for each; one is then needed as the API key
    ///
    /// It is read again on SIGHUP. A line is made by: printf 'NAME:'; printf %s TOKEN | sha256sum
    #[arg(long, value_name = "FILE")]
    pub client_token_file: Option<PathBuf>,

    /// Make a client token and write it to the server-info file, readable by its owner alone
    #[arg(long, requires = "server_info", conflicts_with = "client_token_file")]
    pub require_client_token: bool,

    /// How long a request head may take; then 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub header_timeout: Duration,

    /// How long a caller may send nothing of a request body that the upstream would take; then 408
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub body_timeout: Duration,

    /// Most connections at once; an idle one of the user who has most is closed for a new one
    #[arg(long, value_name = "N", default_value = "8192", value_parser = parse_count)]
    pub max_connections: usize,

    /// Most connections of one user at once, then 429; half of all unless told otherwise (Linux)
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub max_connections_per_user: Option<usize>,

    /// Most requests in flight at once; then 503
    #[arg(long, value_name = "N", default_value = "8192", value_parser = parse_count)]
    pub max_requests: usize,

    /// Threads that serve; one for each processor unless told otherwise
    ///
    /// Each has connections to the upstream of its own, and the first one is alone at work while
    /// callers have eight connections or less.
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub threads: Option<usize>,

    /// User to run as once everything is open; needs root
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Whether to give up capabilities, files, ports and system calls that serving does not need
    ///
    /// What was given up is in the start-up lines.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Sandbox::BestEffort)]
    pub sandbox: Sandbox,

    /// Start even if the key's memory cannot be kept out of swap
    #[arg(long)]
    pub allow_unlocked_key: bool,

    /// What standard error gets of each request; without this text on a terminal, and elsewhere faults alone
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// File to append a JSON object to for each request: who, what, how it came out, tokens, cost
    ///
    /// Opened before privileges are given up, and opened anew on SIGHUP. A file that is made is readable by
    /// its owner and group alone. docs/observing.md has the fields.
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,

    /// Where to answer `GET /metrics` for Prometheus: `127.0.0.1:PORT`, `[::1]:PORT` or `unix:/PATH`
    ///
    /// Metrics say who calls, how often and at what cost. Every user of this host can read them at a port; a
    /// Unix socket is its owner's alone. Port 0 is one that is free, which a start-up line names.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_metrics_place)]
    pub metrics: Option<MetricsPlace>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub control: ControlArgs,

    /// Directory to write each request and its answer to, bodies included, as JSON; made if it is not there
    ///
    /// Files are named NNNNNN-MILLISECONDS-request.json and -response.json, readable by their owner alone. The key,
    /// the caller's token and header values that are not listed as harmless are replaced. The directory has to belong
    /// to the user that the proxy runs as, and may not be written by others. docs/observing.md has an example.
    #[arg(long, value_name = "DIR")]
    pub dump_dir: Option<PathBuf>,

    /// Most that dumps may take, in all; the oldest are removed for new ones
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size, requires = "dump_dir")]
    pub dump_limit: u64,
    /// File to append the same objects to in a chain: each has the hash of the line before, as `prev`
    ///
    /// `codex responses-api-proxy audit verify FILE` finds what was changed since. A chain goes on where the file
    /// ends. The hash of the last line is said at the end.
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// Refuse requests with 503 while the audit log cannot be written
    #[arg(long, requires = "audit_log")]
    pub audit_required: bool,

    /// File of prices that override those built in, in TOML: tables `[prices."MODEL"]` with `input`,
    /// `cached_input` and `output` in US dollars per million tokens
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,

    /// File of what callers may ask for and spend, in TOML: models, shapes of requests, limits by user, group and token
    ///
    /// Read again on SIGHUP. docs/budgets.md has its tables. `codex responses-api-proxy policy check FILE` finds what is
    /// wrong with one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["allow_models", "budgets"])]
    pub policy: Option<PathBuf>,

    /// Models that may be asked for, with `*` and `?` for any text and any character; may be repeated
    #[arg(long = "allow-model", value_name = "GLOB", value_parser = str::parse::<ModelGlob>)]
    pub allow_models: Vec<ModelGlob>,

    /// Most that all callers together may spend: `usd=20/day`, `tokens=5000000/24h`, `requests=60/minute`; may be repeated
    ///
    /// Per minute, hour, day, month (in UTC), process, or in the last time of any length such as 24h. In a file of
    /// --policy each user, group and token can have limits of its own.
    #[arg(long = "budget", value_name = "LIMIT", value_parser = parse_limit)]
    pub budgets: Vec<Limit>,

    /// What is reserved for a request before it is sent: what to expect, or the most that it can cost
    #[arg(long, value_enum, value_name = "MODE", default_value_t = BudgetMode::Expected)]
    pub budget_mode: BudgetMode,

    /// File that keeps what was spent across restarts; without it that is forgotten at the end. Or a server that hosts
    /// share: `redis://HOST:PORT/DB`, `rediss://HOST:PORT/DB` (TLS), `redis+unix:/PATH`
    ///
    /// Hosts with the same policy and the same server (Redis 7 or Valkey) spend its limits together; docs/fleet.md.
    #[arg(long, value_name = "FILE|URL")]
    pub ledger: Option<PathBuf>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub shared_ledger: SharedLedgerArgs,

    /// How long answers in flight may go on after a signal or a shutdown request
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
    /// What it will probably cost, as learned from others
    Expected,
    /// The most that it can cost; it has to say max_output_tokens
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
    /// All of it, or do not start; a system call that is not listed ends the process
    Require,
    /// As much as the kernel has; a system call that is not listed fails and is reported
    BestEffort,
    /// None
    Off,
}

/// What standard error gets of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line to read: time, caller, model, status, times, tokens, cost
    Text,
    /// The line of the access log; all other lines but the first are JSON objects too
    Json,
}

const EXAMPLES: &str = "\
Examples:
  The key from an environment variable that the proxy itself does not get:
    printenv OPENAI_API_KEY | env -u OPENAI_API_KEY \\
      codex responses-api-proxy --http-shutdown --server-info /tmp/server-info.json

  The key from a file only root can read:
    sudo sh -c 'codex responses-api-proxy --port 8787 < /etc/codex/openai.key'

  Then, as anybody:
    curl -sN http://127.0.0.1:8787/v1/responses -H 'content-type: application/json' \\
      -d '{\"model\":\"gpt-5\",\"input\":\"Say hi\",\"stream\":true}'

Environment:
  HTTPS_PROXY, ALL_PROXY, NO_PROXY   reach an https upstream through a CONNECT proxy
  SSL_CERT_FILE, SSL_CERT_DIR        certificate authorities to trust instead of the system's
  What is set is in force, or the start is refused with the name of the variable.

Exit status: 0 after a shutdown, 1 when something failed, 2 for a wrong command line.";

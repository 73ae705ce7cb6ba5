//! Commands beside serving. None needs a key, and only those of `codex-control` a proxy that runs.

use std::path::PathBuf;

use codex_audit_log::LineHash;
use codex_control::ControlCommand;
use codex_doctor::{DoctorArgs, WhyArgs};

use crate::config::args::Args;
use crate::config::key_source::ServeKeysArgs;
use crate::config::ledger_place::{DEFAULT_PREFIX, parse_prefix};

/// What to do in the place of serving.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ProxyCommand {
    /// Check an audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check or explain a policy file
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show or reset what a ledger has recorded
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Check this host, the environment and a running proxy for anything that could expose the key
    ///
    /// Prints one line for each check; findings are read back from the kernel. The exit status is 1 if a check
    /// FAILED.
    Doctor(DoctorArgs),
    /// Explain what became of a request, from its line in the access log
    Why(WhyArgs),
    #[command(flatten)]
    Control(ControlCommand),
    /// Read keys for the proxy that starts this command
    #[command(hide = true)]
    ServeKeys(ServeKeysArgs),
}

impl Args {
    /// The arguments of `doctor`, if that is what was asked for: a program that has a client looks at it as well.
    #[must_use]
    pub fn doctor(&self) -> Option<&DoctorArgs> {
        match &self.command {
            Some(ProxyCommand::Doctor(args)) => Some(args),
            _ => None,
        }
    }
}

/// What to do with a policy file.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Check a policy file for errors
    Check(PolicyFileArgs),
    /// Show which table applies to a caller, and whether it allows a request
    Explain(ExplainArgs),
}

/// Which policy file.
#[derive(Clone, Debug, clap::Args)]
pub struct PolicyFileArgs {
    /// Policy file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Whose request to explain.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// Policy file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Calling user, by name or number
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// Name of the caller's client token
    #[arg(long, value_name = "NAME")]
    pub(crate) token: Option<String>,

    /// File with the body of a request; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
}

/// What to do with a ledger.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum BudgetCommand {
    /// Show what each account has spent
    ///
    /// A file can be read only while no proxy has it open; a running proxy shows its counts in its metrics. A server
    /// that hosts share can be asked at any time, and shows what all hosts have spent.
    Show(LedgerArgs),
    /// Forget what one account, or every account, has spent
    Reset(ResetArgs),
    /// Show the accounts that have spent the largest part of their limits, on a shared server
    Top(TopArgs),
}

/// Which ledger.
#[derive(Clone, Debug, clap::Args)]
pub struct LedgerArgs {
    /// Ledger file, or server that hosts share: `redis://HOST:PORT/DB`
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) ledger: PathBuf,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

// How to speak to a server that hosts share. Not a doc comment: clap would print it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// File that contains the server's password and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger_password_file: Option<PathBuf>,

    /// Prefix of the keys on the server
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PREFIX, value_parser = parse_prefix)]
    pub(crate) ledger_prefix: String,
}

/// Of which server, and how much of it.
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    #[command(flatten)]
    pub(crate) of: LedgerArgs,

    /// Number of accounts to show
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) number: usize,
}

/// What to forget.
#[derive(Clone, Debug, clap::Args)]
pub struct ResetArgs {
    #[command(flatten)]
    pub(crate) of: LedgerArgs,

    /// Account to forget, named as in `budget show`, such as user:1001
    #[arg(long, value_name = "ACCOUNT", required_unless_present = "all")]
    pub(crate) account: Option<String>,

    /// Forget every account
    #[arg(long, conflicts_with = "account")]
    pub(crate) all: bool,
}

/// What to do with an audit log.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Check that no line was changed, removed, inserted or moved
    ///
    /// Each line has the hash of the line before it. A line that does not is named, and the exit status is 1. Anyone
    /// who can write the file can change its last line, cut lines off its end, or rebuild all of it. Only `--expect`
    /// detects that, with a hash that was kept where they cannot write. The proxy prints the hash of the last line at
    /// its end, and so does this command.
    Verify(VerifyArgs),
}

/// What is checked.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Audit logs in the order they were written, rotated ones first; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Hash of the line before the first one, if the files before it are not named
    #[arg(long, value_name = "HASH", value_parser = str::parse::<LineHash>)]
    pub(crate) after: Option<LineHash>,

    /// Hash of a line that must be present; nothing up to that line has changed then
    #[arg(long, value_name = "HASH", value_parser = str::parse::<LineHash>)]
    pub(crate) expect: Option<LineHash>,
}

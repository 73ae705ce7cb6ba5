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
    /// Look into an audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look into a policy file
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look into a ledger
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Look for what could give the key away: this host, the environment, a running proxy
    ///
    /// One line for each check; what was found is read back from the kernel. The exit status is 1 if one FAILED.
    Doctor(DoctorArgs),
    /// Say what became of a request, by its line in the access log
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
    /// Say what is wrong with it, if anything is
    Check(PolicyFileArgs),
    /// Say which table is for a caller, and whether it allows a request
    Explain(ExplainArgs),
}

/// Which policy file.
#[derive(Clone, Debug, clap::Args)]
pub struct PolicyFileArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Whose request to explain.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// User that calls, by name or number
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// Client token that the caller has, by name
    #[arg(long, value_name = "NAME")]
    pub(crate) token: Option<String>,

    /// File with the body of a request; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
}

/// What to do with a ledger.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum BudgetCommand {
    /// Say what each account has spent
    ///
    /// A file only while no proxy has it; what a proxy that runs has counted is in its metrics. A server that hosts
    /// share at any time: what all of them have spent.
    Show(LedgerArgs),
    /// Forget what one account has spent, or all
    Reset(ResetArgs),
    /// Say which accounts have spent most of their limits, of a server that hosts share
    Top(TopArgs),
}

/// Which ledger.
#[derive(Clone, Debug, clap::Args)]
pub struct LedgerArgs {
    /// The file, or the server that hosts share: redis://HOST:PORT/DB
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) ledger: PathBuf,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

// How to speak to a server that hosts share. Not a doc comment: clap would print it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// File that holds the server's password, and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger_password_file: Option<PathBuf>,

    /// What its keys begin with
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PREFIX, value_parser = parse_prefix)]
    pub(crate) ledger_prefix: String,
}

/// Of which server, and how much of it.
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    #[command(flatten)]
    pub(crate) of: LedgerArgs,

    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) number: usize,
}

/// What to forget.
#[derive(Clone, Debug, clap::Args)]
pub struct ResetArgs {
    #[command(flatten)]
    pub(crate) of: LedgerArgs,

    /// The account, as `budget show` names it, such as user:1001
    #[arg(long, value_name = "ACCOUNT", required_unless_present = "all")]
    pub(crate) account: Option<String>,

    /// Every account
    #[arg(long, conflicts_with = "account")]
    pub(crate) all: bool,
}

/// What to do with an audit log.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Check that no line was changed, removed, put in or moved
    ///
    /// Each line has the hash of the line before. One that does not is named, and the exit status is 1. Whoever can
    /// write the file can change its last line, cut lines off its end, or make all of it anew: that is found only by
    /// `--expect`, with a hash that was kept where they cannot write. The proxy says the hash of the last line at its
    /// end, and this command does too.
    Verify(VerifyArgs),
}

/// What is checked.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Audit logs in the order in which they were written, rotated ones first; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Hash of the line before the first one, where the files before it are not named
    #[arg(long, value_name = "HASH", value_parser = str::parse::<LineHash>)]
    pub(crate) after: Option<LineHash>,

    /// Hash of a line that has to be there; up to it nothing has changed then
    #[arg(long, value_name = "HASH", value_parser = str::parse::<LineHash>)]
    pub(crate) expect: Option<LineHash>,
}

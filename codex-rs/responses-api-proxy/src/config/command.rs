//! Commands beside serving. None needs a proxy that runs, nor a key.

use std::path::PathBuf;

use codex_audit_log::LineHash;

/// What to do in the place of serving.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ProxyCommand {
    /// Look into an audit log
    #[command(subcommand)]
    Audit(AuditCommand),
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

//! The arguments of both commands.

use std::path::PathBuf;

/// What to look at.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DoctorArgs {
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,

    /// Server-info file of the proxy to look at
    ///
    /// Otherwise the one that CODEX_PROXY_SERVER_INFO names, or /run/codex-proxy/server-info.json if it is there.
    #[arg(long, value_name = "FILE")]
    pub server_info: Option<PathBuf>,
}

/// Which request.
#[derive(Clone, Debug, clap::Args)]
pub struct WhyArgs {
    /// The request, as the header `x-codex-proxy-request-id` of its answer has it
    ///
    /// Or the upstream's id of the request (`x-request-id`) or of the response (`resp_...`).
    #[arg(value_name = "REQUEST_ID")]
    pub request_id: String,

    /// Access logs to look into, the newest first; may be repeated
    ///
    /// Rotated ones beside them (FILE.1, FILE.2, ...) are looked into too. Without it
    /// /var/log/codex-proxy/access.log is looked into.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub access_log: Vec<PathBuf>,

    /// Print the record and its explanation as one JSON object
    #[arg(long)]
    pub json: bool,
}

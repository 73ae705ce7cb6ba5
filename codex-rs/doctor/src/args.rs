//! The arguments of both commands.

use std::path::PathBuf;

/// What to look at.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DoctorArgs {
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,

    /// Server-info file of the proxy to check
    ///
    /// By default, the one that CODEX_PROXY_SERVER_INFO names, or else /run/codex-proxy/server-info.json if it exists.
    #[arg(long, value_name = "FILE")]
    pub server_info: Option<PathBuf>,
}

/// Which request.
#[derive(Clone, Debug, clap::Args)]
pub struct WhyArgs {
    /// The request's id, from the `x-codex-proxy-request-id` header of its answer
    ///
    /// The upstream's id of the request (`x-request-id`) or of the response (`resp_...`) may be given instead.
    #[arg(value_name = "REQUEST_ID")]
    pub request_id: String,

    /// Access logs to search, newest first; may be repeated
    ///
    /// Rotated logs beside them (FILE.1, FILE.2, ...) are searched too. The default is /var/log/codex-proxy/access.log.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub access_log: Vec<PathBuf>,

    /// Print the record and its explanation as one JSON object
    #[arg(long)]
    pub json: bool,
}

//! What the proxy says of itself and of the requests it serves, and what of other people's text may be shown.

pub(crate) mod access_log;
pub(crate) mod audit_file;
pub(crate) mod audit_log;
pub(crate) mod cost;
pub(crate) mod finished;
#[cfg_attr(not(unix), path = "log_file_unsupported.rs")]
pub(crate) mod log_file;
pub(crate) mod log_writer;
pub(crate) mod metrics;
pub(crate) mod observer;
pub(crate) mod open_records;
pub(crate) mod outcome;
pub(crate) mod printable;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod recorder;
pub(crate) mod repeats;
pub(crate) mod request_id;
pub(crate) mod status_line;
pub(crate) mod stderr;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod text_line;
pub(crate) mod timestamp;
pub(crate) mod unread_heads;
pub(crate) mod upstream_connections;
pub(crate) mod user_names;

//! The real binary over real sockets, one story per row or group of docs/differences.md.
//!
//! Every answer, both standard streams and every file a proxy leaves are
//! searched for the key by the harness, in every test.

#![cfg(unix)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod access_log;
mod access_log_schema;
mod access_tokens;
mod activation;
mod answers;
mod audit;
mod before_the_key;
mod browsers;
mod budgets;
mod caller_disconnects;
mod callers;
mod certificate_authorities;
mod client_tokens;
mod codex_action;
mod command_line;
mod confinement;
mod control;
mod custody;
mod cuts;
mod deadlines;
mod denied;
mod doctor;
mod documented_settings;
mod dump_directory;
mod dumps;
mod echo;
mod ends;
mod environment;
mod fairness;
mod fault_lines;
mod faults;
mod fleet;
mod floods;
mod framing;
mod gateway;
mod headers;
mod ipv6;
mod isolation;
mod key;
mod keyless;
mod lifecycle;
mod log_drops;
mod log_ownership;
mod metrics;
mod noninterference;
mod notify;
mod outbound_proxy;
mod pool;
mod record_cuts;
mod record_refusals;
mod records;
mod resolving;
mod restricted_host;
mod rotation;
mod scrapes;
mod server_info;
mod server_info_ownership;
mod soak;
mod start;
mod stderr;
mod streaming;
mod surface;
mod thread_limit;
mod unix_socket;
mod uploads;
mod why;
mod windows;

use codex_test_support::{Answer, Client, MockUpstream, Proxy, ProxyBuilder};

/// The binary under test.
const PROXY: &str = env!("CARGO_BIN_EXE_codex-responses-api-proxy");

/// The one path that is served.
const RESPONSES: &str = "/v1/responses";

/// A proxy in front of `upstream`, to be configured further and started.
fn in_front_of(upstream: &MockUpstream) -> ProxyBuilder {
    Proxy::builder(PROXY).upstream(upstream)
}

/// One ordinary request on a connection of its own, and its whole answer.
#[track_caller]
fn ask(proxy: &Proxy) -> Answer {
    proxy.client().post(RESPONSES, &[], "{}").read_answer()
}

/// One ordinary request on a connection of its own, and the head of its answer.
#[track_caller]
fn begin(proxy: &Proxy) -> Client {
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.read_head();
    client
}

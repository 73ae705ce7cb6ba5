//! The vocabulary the black-box tests are written in: a scripted mock upstream, a starter for
//! the real binary, a raw client, and a scanner that looks for the key in everything they see.
//!
//! Tests are plain synchronous functions. Whatever waits here gives up after [`WAIT_TIMEOUT`] and
//! panics, saying what it was waiting for.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test harness reports a broken expectation by panicking"
)]

mod answer;
mod child;
mod client;
mod gate;
mod h1;
mod h1_body;
mod h1_head;
mod h1_reply;
mod h2_order;
mod h2_server;
mod h2_stream;
mod h2_tap;
mod hpack;
mod identity_servers;
mod journal;
mod memory;
mod mock_state;
mod program;
mod proxy;
mod recorded;
#[cfg(unix)]
mod redis_server;
mod refused;
mod reply;
pub mod responses;
mod scan;
mod script;
mod skipped;
mod step;
mod tls;
pub mod tool_calls;
mod upstream;
mod wait;
mod wire;

pub use answer::{Answer, End, Head, Interim, assert_openai_error};
pub use child::{Output, Stdin};
pub use client::Client;
pub use gate::Gate;
pub use identity_servers::{IdentityServers, IdentityTokens};
pub use program::{Program, run_to_exit};
pub use proxy::{Proxy, ProxyBuilder};
pub use recorded::{RecordedRequest, body_hash};
#[cfg(unix)]
pub use redis_server::RedisServer;
pub use refused::RefusedPort;
pub use reply::Reply;
pub use scan::{Leak, Scanner, TEST_KEY, assert_no_key, find_key};
pub use script::Script;
pub use skipped::skipped;
pub use step::{CutKind, Framing, Step};
pub use tls::Certificate;
pub use upstream::{MockUpstream, MockUpstreamBuilder, OnAccept};
pub use wait::WAIT_TIMEOUT;

/// Header fields in the order they arrived, duplicates kept, names as they were written.
pub type Headers = Vec<(String, Vec<u8>)>;

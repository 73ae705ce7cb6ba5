//! The mock upstream and the raw client against each other, over HTTP/1.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod answers;
mod harness;
mod requests;

use codex_test_support::{Client, MockUpstream};

const PATH: &str = "/v1/responses";

fn ask(upstream: &MockUpstream) -> Client {
    let mut client = Client::connect(upstream.addr()).without_scan();
    client.post(PATH, &[], "{}");
    client
}

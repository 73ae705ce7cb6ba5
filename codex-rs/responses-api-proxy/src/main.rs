//! The proxy alone, under the name that codex-action calls it by.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use codex_responses_api_proxy::{Args, report_failure, run_main};

/// Freed memory is wiped, in this process and for all of its crates.
#[global_allocator]
static HEAP: codex_secret_memory::ZeroOnFree = codex_secret_memory::ZeroOnFree;

fn main() -> ExitCode {
    run_main(Args::parse(), &[]).unwrap_or_else(|error| {
        report_failure(&error);
        ExitCode::FAILURE
    })
}

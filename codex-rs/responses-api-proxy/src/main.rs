//! The proxy alone, under the name that codex-action calls it by.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use codex_responses_api_proxy::{Args, report_failure, run_main};

fn main() -> ExitCode {
    run_main(Args::parse()).unwrap_or_else(|error| {
        report_failure(&error);
        ExitCode::FAILURE
    })
}

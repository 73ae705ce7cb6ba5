//! The door: parse, dispatch, exit code.
#![forbid(unsafe_code)]

mod config_override;
mod multitool;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use codex_responses_api_proxy::{report_failure, run_main};

use multitool::{Multitool, Subcommand};

/// Freed memory is wiped, in this process and for all of its crates.
#[global_allocator]
static HEAP: codex_secret_memory::ZeroOnFree = codex_secret_memory::ZeroOnFree;

fn main() -> ExitCode {
    let outcome = match Multitool::parse().subcommand {
        Subcommand::ResponsesApiProxy(args) => run_main(*args),
        Subcommand::Completion { shell } => {
            let mut command = Multitool::command();
            clap_complete::generate(shell, &mut command, "codex", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        report_failure(&error);
        ExitCode::FAILURE
    })
}

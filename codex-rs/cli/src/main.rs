//! The door: parse, dispatch, exit code.
#![forbid(unsafe_code)]

mod multitool;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use codex_exec::{run_chat, run_exec};
use codex_responses_api_proxy::{report_failure, run_main};

use multitool::{Multitool, Subcommand};

/// Freed memory is wiped, in this process and for all of its crates.
#[global_allocator]
static HEAP: codex_secret_memory::ZeroOnFree = codex_secret_memory::ZeroOnFree;

fn main() -> ExitCode {
    let typed = Multitool::parse().with_flags_in_place();
    let outcome = match typed.subcommand {
        None => return run_chat(typed.chat, &typed.config),
        Some(Subcommand::Exec(args)) => return run_exec(&args, &typed.config),
        Some(Subcommand::ResponsesApiProxy(args)) => run_main(*args),
        Some(Subcommand::Completion { shell }) => {
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

//! The codex multitool: its command tree, and what each command runs.
#![forbid(unsafe_code)]

mod doctor;
mod multitool;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use codex_exec::{run_chat, run_config, run_exec, run_models, run_resume};
use codex_responses_api_proxy::{report_failure, run_main};

use multitool::{Multitool, Subcommand};

/// What `codex` calls the proxy.
const PROXY: &str = "responses-api-proxy";

/// The command tree, for whoever writes of it: manual pages, completions.
#[must_use]
pub fn command() -> clap::Command {
    Multitool::command()
}

/// Runs what the command line says. A command line that is wrong ends the process, as clap does it.
#[must_use]
pub fn run() -> ExitCode {
    let typed = Multitool::parse().with_flags_in_place();
    let overrides = typed.overrides();
    let outcome = match typed.subcommand {
        None => return run_chat(typed.chat, &overrides),
        Some(Subcommand::Exec(with)) => return run_exec(&with.args, &overrides),
        Some(Subcommand::Resume(with)) => return run_resume(with.args, &overrides),
        Some(Subcommand::Config(with)) => return run_config(&with.args, &overrides),
        Some(Subcommand::Models(with)) => return run_models(&with.args, &overrides),
        Some(Subcommand::Doctor(with)) => doctor::run(&with.args, &overrides),
        Some(Subcommand::ResponsesApiProxy(with)) => match with.args.doctor() {
            // Here there is a client to look at as well.
            Some(args) => doctor::run(args, &overrides),
            None => run_main(with.args, &[PROXY]),
        },
        Some(Subcommand::Completion(with)) => {
            let mut script = Vec::new();
            clap_complete::generate(with.args.shell, &mut command(), "codex", &mut script);
            match io::stdout().write_all(&script) {
                // Nobody reads any more, as in `codex completion bash | head`.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
                written => written.map(|()| ExitCode::SUCCESS).map_err(Into::into),
            }
        }
    };
    outcome.unwrap_or_else(|error| {
        report_failure(&error);
        ExitCode::FAILURE
    })
}

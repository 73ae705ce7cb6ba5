//! Measures the proxy beside its peers: starts an upstream and one contestant after the other, plays
//! the same scenarios in front of each, and writes down what came of it.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::float_cmp, reason = "values that went through unchanged")
)]

mod clock;
mod comparison;
mod contestant;
mod goals;
mod job;
mod load;
mod machine;
mod measurement;
mod plot;
mod process;
mod rank_sum;
mod report;
mod results;
mod run;
mod scenarios;
mod stage;
mod statistics;
mod upstream;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Measure the proxy against its peers
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
enum Command {
    Run(Box<run::Args>),
    Upstream(upstream::Args),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Run(args) => run::run(&args),
        Command::Upstream(args) => upstream::run(args).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(status) => status,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "codex-bench: {error:#}"));
            // 1 says that a build is worse than another.
            ExitCode::from(2)
        }
    }
}

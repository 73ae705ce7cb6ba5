//! Writes what goes beside the programs into packages: manual pages and completions, from the trees that parse their
//! command lines.
#![forbid(unsafe_code)]

mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// Write the manual pages and completions of codex and codex-responses-api-proxy
#[derive(Debug, Parser)]
#[command(version = codex_version::VERSION)]
struct Arguments {
    /// Where they go: DIR/man/NAME.1, DIR/bash/NAME, DIR/zsh/_NAME and DIR/fish/NAME.fish
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Call codex by the name that it has in packages, codex-proxy
    #[arg(long)]
    packaged: bool,

    /// What manual pages say of their age, as 2026-11-29
    #[arg(long, default_value = "")]
    date: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let name = if arguments.packaged {
        "codex-proxy"
    } else {
        "codex"
    };
    let codex = tree::named(codex_cli::command(), name);
    // The pages of `codex responses-api-proxy` have the same names: this one goes last.
    let proxy = codex_responses_api_proxy::Args::command();
    for command in [codex, proxy] {
        if let Err(error) = tree::write(command, &arguments.out, &arguments.date) {
            let place = arguments.out.display();
            let error =
                format!("{place}: {error}; --out has to be a directory that can be written\n");
            clap::Error::raw(clap::error::ErrorKind::Io, error).exit();
        }
    }
    ExitCode::SUCCESS
}

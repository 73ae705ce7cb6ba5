//! `codex models`: what the provider says it serves.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::command::exec::{end, environment, runtime};
use crate::command::exit::Stop;
use crate::config::Config;
use crate::config::args::SelectArgs;
use crate::config::overrides::ConfigOverride;
use crate::terminal::Screen;
use crate::terminal::format::{Color, Format};
use crate::transport::Client;
use crate::transport::error::Fault;

/// Prints the names of the models, one a line, in the order of the server.
///
/// The exit code: 0 with a list, 1 without, 2 for a command line that cannot work.
#[must_use]
pub fn run_models(args: &SelectArgs, overrides: &[ConfigOverride]) -> ExitCode {
    match models(args, overrides) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, &mut Screen::new(false, Format::Text, Color::Auto)),
    }
}

fn models(args: &SelectArgs, overrides: &[ConfigOverride]) -> Result<(), Stop> {
    let config = Config::load(&args.to_common(), overrides, &environment)?;
    let client = Client::new(&config.provider)?;
    let names = runtime()?.block_on(client.models())?;
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    print(&lines)
}

/// Writes to standard output; that nobody reads it is not a failure.
pub(super) fn print(text: &str) -> Result<(), Stop> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(text.as_bytes());
    written
        .and_then(|()| stdout.flush())
        .map_err(|cause| Fault::Output(cause).into())
}

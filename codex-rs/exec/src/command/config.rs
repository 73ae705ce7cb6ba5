//! `codex config show`.

use std::process::ExitCode;

use crate::command::exec::{end, environment};
use crate::command::models::print;
use crate::config::args::{ConfigArgs, ConfigCommand};
use crate::config::overrides::ConfigOverride;
use crate::config::show::show;
use crate::terminal::Screen;
use crate::terminal::format::{Color, Format};

/// Prints the effective configuration.
///
/// The exit code: 0, 1 for a configuration that cannot work, 2 for a command line that cannot.
#[must_use]
pub fn run_config(args: &ConfigArgs, overrides: &[ConfigOverride]) -> ExitCode {
    let ConfigCommand::Show(with) = &args.command;
    let overrides = [overrides, &with.config].concat();
    let shown = show(&with.select.to_common(), &overrides, &environment);
    match shown.map_err(Into::into).and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, &mut Screen::new(false, Format::Text, Color::Auto)),
    }
}

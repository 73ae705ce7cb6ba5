//! `codex`: a conversation on a terminal.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::args::ChatArgs;
use crate::config_override::ConfigOverride;
use crate::exec::{end, run_exec};
use crate::prompt::stdin_is_terminal;
use crate::screen::Screen;
use crate::stop::Stop;

/// Runs a conversation, or `codex exec` where there is no terminal on both ends.
#[must_use]
pub fn run_chat(args: ChatArgs, overrides: &[ConfigOverride]) -> ExitCode {
    if !(stdin_is_terminal() && io::stdout().is_terminal()) {
        let args = args.into_exec();
        if let Some(word) = args
            .common
            .prompt
            .as_deref()
            .filter(|word| is_command(word))
        {
            let mut screen = Screen::new(args.common.quiet, false);
            return end(&Stop::Usage(mistyped(word)), &mut screen);
        }
        return run_exec(&args, overrides);
    }
    ExitCode::SUCCESS
}

/// Whether it may be a subcommand that was mistyped. In a script it is never sent to a model, for
/// what comes with it on standard input may be a key.
fn is_command(prompt: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    prompt.len() > 1 && prompt.chars().all(is_part)
}

fn mistyped(word: &str) -> String {
    format!("there is no subcommand {word}; to send it as a prompt, use codex exec {word}")
}

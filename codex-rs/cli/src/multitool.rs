//! The command tree: a variant per subcommand, no logic.

use clap::CommandFactory;
use clap::error::ErrorKind;
use clap_complete::Shell;
use codex_doctor::DoctorArgs;
use codex_exec::{ChatArgs, ConfigArgs, ConfigOverride, ExecArgs, ResumeChatArgs, SelectArgs};
use codex_responses_api_proxy::Args;

/// Tools for the OpenAI Responses API
///
/// Without a subcommand, starts a conversation with a model on the terminal; if there is no
/// terminal, it is the same as `codex exec`. This is a chat client, not an agent: for agent work,
/// use OpenAI's Codex CLI, which reads the same config.toml.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex",
    version = codex_version::VERSION,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Multitool {
    #[command(subcommand)]
    pub(crate) subcommand: Option<Subcommand>,

    #[command(flatten)]
    pub(crate) chat: ChatArgs,

    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    ResponsesApiProxy(Box<With<Args>>),

    #[command(visible_alias = "e", disable_help_subcommand = true)]
    Exec(Box<With<ExecArgs>>),

    Resume(Box<With<ResumeChatArgs>>),

    Config(Box<With<ConfigArgs>>),

    Models(Box<With<SelectArgs>>),

    /// Look for anything that could give the API key away
    ///
    /// Checks this host, the environment, the client and a running proxy, and prints one line per check. Findings are
    /// read back from the kernel. The exit status is 1 if any check FAILED.
    Doctor(With<DoctorArgs>),

    /// Write a shell completion script to standard output
    Completion(With<Completion>),
}

// What a completion script is for.
#[derive(Debug, clap::Args)]
pub(crate) struct Completion {
    /// The shell to write the script for
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

// Taken on every level, and not as one global argument: of one that is given both before and
// after the subcommand, clap keeps the latter alone.
#[derive(Debug, clap::Args)]
struct Overrides {
    /// Override a configuration value; KEY is a dotted path, VALUE is TOML or else a string
    ///
    /// Accepted before and after the subcommand. `responses-api-proxy` reads no configuration and
    /// ignores this option, so scripts can pass the same options everywhere.
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    config: Vec<ConfigOverride>,
}

// The arguments of a subcommand, and overrides. Not a doc comment: clap would print it for help in
// the place of what the arguments say of themselves.
#[derive(Debug, clap::Args)]
pub(crate) struct With<A: clap::Args> {
    #[command(flatten)]
    pub(crate) args: A,

    #[command(flatten)]
    overrides: Overrides,
}

impl Multitool {
    /// All overrides in their order, the stronger ones last.
    pub(crate) fn overrides(&self) -> Vec<ConfigOverride> {
        let after = match &self.subcommand {
            None => None,
            Some(Subcommand::ResponsesApiProxy(with)) => Some(&with.overrides.config),
            Some(Subcommand::Exec(with)) => Some(&with.overrides.config),
            Some(Subcommand::Resume(with)) => Some(&with.overrides.config),
            Some(Subcommand::Config(with)) => Some(&with.overrides.config),
            Some(Subcommand::Models(with)) => Some(&with.overrides.config),
            Some(Subcommand::Doctor(with)) => Some(&with.overrides.config),
            Some(Subcommand::Completion(with)) => Some(&with.overrides.config),
        };
        let levels = [Some(&self.overrides.config), after];
        levels.into_iter().flatten().flatten().cloned().collect()
    }

    /// Gives `exec` the flags that stand before it, as Codex takes them. Ends the program, with usage, over a
    /// question there, and over flags before any other subcommand: it would not see them.
    pub(crate) fn with_flags_in_place(mut self) -> Self {
        let before = std::mem::take(&mut self.chat);
        match &mut self.subcommand {
            None => self.chat = before,
            Some(Subcommand::Exec(exec)) if !before.has_prompt() => exec.args.or(before),
            Some(Subcommand::Resume(resume)) if !before.has_prompt() => resume.args.or(before),
            Some(_) if before.is_empty() => {}
            Some(_) => {
                let message =
                    "a prompt comes after `exec`, and its flags go with no other subcommand";
                Self::command()
                    .error(ErrorKind::ArgumentConflict, message)
                    .exit();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Multitool::command().debug_assert();
    }

    #[test]
    fn overrides_are_accepted_before_and_after_the_subcommand() {
        let parsed = Multitool::try_parse_from([
            "codex",
            "-c",
            "model=\"o3\"",
            "responses-api-proxy",
            "-c",
            "a.b=[1, 2]",
            "--config",
            "c=",
        ]);
        let named: Vec<String> = parsed
            .unwrap()
            .overrides()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(named, ["-c model", "-c a.b", "-c c"]);
    }

    #[test]
    fn an_override_without_an_equals_sign_is_a_usage_error() {
        let error = Multitool::try_parse_from(["codex", "-c", "model", "responses-api-proxy"]);
        assert_eq!(error.unwrap_err().exit_code(), 2);
    }
}

//! The command tree: a variant per subcommand, no logic.

use clap_complete::Shell;
use codex_responses_api_proxy::Args;

use crate::config_override::ConfigOverride;

/// Tools around the OpenAI Responses API.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Multitool {
    /// Override a configuration value: a dotted path and a TOML value, or else a string
    ///
    /// Accepted before and after the subcommand. `responses-api-proxy` reads no configuration and
    /// ignores it, so that scripts may pass the same options everywhere.
    #[arg(short, long = "config", value_name = "KEY=VALUE", global = true)]
    pub(crate) config: Vec<ConfigOverride>,

    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    ResponsesApiProxy(Box<Args>),

    /// Write a completion script for a shell to standard output
    Completion {
        /// The shell to write for
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

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
        assert!(parsed.is_ok(), "{parsed:?}");
    }

    #[test]
    fn an_override_without_an_equals_sign_is_a_usage_error() {
        let error = Multitool::try_parse_from(["codex", "-c", "model", "responses-api-proxy"]);
        assert_eq!(error.unwrap_err().exit_code(), 2);
    }
}

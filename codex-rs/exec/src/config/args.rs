//! The flags as typed.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args};

/// Ask a model one question and stream its answer
///
/// One request to the Responses API, by the provider that the configuration names; the text of the
/// answer goes to standard output as it arrives, everything else to standard error. This is a chat
/// client: it runs no commands and edits no files. For agent work use OpenAI's Codex CLI, which
/// reads the same config.toml.
#[derive(Clone, Debug, Default, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub(crate) common: Common,

    /// Print the events of the Responses API to standard output, one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the text of the answer to a file as well, once it is complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output_last_message: Option<PathBuf>,
}

/// What a question and a conversation have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct ChatArgs {
    #[command(flatten)]
    pub(crate) common: Common,
}

impl ChatArgs {
    /// Whether nothing was given: a subcommand has flags of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same question, asked without a terminal.
    pub(crate) fn into_exec(self) -> ExecArgs {
        ExecArgs {
            common: self.common,
            ..ExecArgs::default()
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Common {
    /// The question; `-` reads it from standard input
    ///
    /// With a question, what is piped into standard input goes along as context.
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Option<String>,

    /// The model to ask; overrides every configuration
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,

    /// Lay a profile over config.toml: $CODEX_HOME/NAME.config.toml, or [profiles.NAME] in it
    #[arg(short, long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Send an image (PNG, JPEG, GIF, WebP) along with the question; may be repeated
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub(crate) image: Vec<PathBuf>,

    /// Ask the proxy that wrote this file (codex responses-api-proxy --server-info FILE)
    ///
    /// For model_provider=local-proxy, which it stands for when no provider is configured; so does
    /// the variable CODEX_PROXY_SERVER_INFO.
    #[arg(long, value_name = "FILE")]
    pub(crate) server_info: Option<PathBuf>,

    /// Ask for summaries of the model's reasoning and show them on standard error
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) show_reasoning: bool,

    /// Say nothing on standard error but errors, and the reasoning if it was asked for
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub(crate) quiet: bool,
}

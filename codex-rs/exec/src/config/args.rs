//! The flags as typed.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Subcommand};

use crate::config::codex_flags::CodexFlags;
use crate::config::overrides::ConfigOverride;
use crate::config::resume::ExecCommand;
use crate::terminal::format::{Color, Json};

/// Ask a model one question and stream its answer
///
/// Sends one request to the Responses API of the configured provider. The text of the answer goes
/// to standard output as it arrives, everything else to standard error. This is a chat client: it
/// runs no commands and edits no files. For agent work, use OpenAI's Codex CLI, which reads the
/// same config.toml.
#[derive(Clone, Debug, Default, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(flatten)]
    pub(crate) flags: ExecFlags,

    #[command(subcommand)]
    pub(crate) command: Option<ExecCommand>,
}

/// What goes with one question.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ExecFlags {
    /// Print events to standard output, one JSON object per line
    ///
    /// Without a value, the events that Codex's own exec prints; with =events, those of the Responses API.
    #[arg(
        long,
        alias = "experimental-json",
        value_name = "WHOSE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "codex"
    )]
    pub(crate) json: Option<Json>,

    /// Also write the text of the last message to a file, once the answer is complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output_last_message: Option<PathBuf>,

    /// Ask for JSON that conforms to the JSON Schema in this file, and check the answer
    #[arg(long, value_name = "FILE")]
    pub(crate) output_schema: Option<PathBuf>,
}

impl ExecFlags {
    /// Takes what these flags do not say from those that stood before a subcommand.
    pub(super) fn or(&mut self, before: Self) {
        self.json = self.json.or(before.json);
        self.output_last_message = self
            .output_last_message
            .take()
            .or(before.output_last_message);
        self.output_schema = self.output_schema.take().or(before.output_schema);
    }
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

    /// Whether there is a question among them, which would be lost before a subcommand.
    #[must_use]
    pub fn has_prompt(&self) -> bool {
        self.common.prompt.is_some()
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
    /// If a question is given, piped standard input is sent along as context, except with `resume`.
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Option<String>,

    /// The model to ask; takes precedence over all configuration
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,

    /// Apply a profile on top of config.toml
    ///
    /// The profile is $CODEX_HOME/NAME.config.toml, or [profiles.NAME] in config.toml.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Send an image (PNG, JPEG, GIF, WebP) with the question; may be repeated
    ///
    /// Several files may also be given at once, separated by commas.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) image: Vec<PathBuf>,

    /// Send a text file and its name with the question; may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,

    /// Tell the model how to answer, as text or @FILE; takes precedence over all configuration
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) instructions: Option<String>,

    /// Ask the proxy that wrote this file (codex responses-api-proxy --server-info FILE)
    ///
    /// This selects model_provider=local-proxy, whatever the configuration says. The variable
    /// CODEX_PROXY_SERVER_INFO does the same, but only if no provider is configured.
    #[arg(long, value_name = "FILE")]
    pub(crate) server_info: Option<PathBuf>,

    /// Request summaries of the model's reasoning and show them on standard error
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) show_reasoning: bool,

    /// Print only errors, and reasoning if requested, on standard error
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub(crate) quiet: bool,

    /// When to colour standard error and render an answer's Markdown on a terminal
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,

    /// The directory that the conversation belongs to
    #[arg(short = 'C', long = "cd", value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Ignore $CODEX_HOME/config.toml
    #[arg(long)]
    pub(crate) ignore_user_config: bool,

    /// Reject a configuration with unknown keys
    #[arg(long)]
    pub(crate) strict_config: bool,

    /// Do not record the conversation
    #[arg(long)]
    pub(crate) ephemeral: bool,

    #[command(flatten)]
    pub(crate) of_codex: CodexFlags,
}

impl Common {
    /// Takes what these flags do not say from those that stood before the subcommand.
    pub(crate) fn or(&mut self, before: Self) {
        fn or<T>(after: &mut Option<T>, before: Option<T>) {
            if after.is_none() {
                *after = before;
            }
        }
        or(&mut self.model, before.model);
        or(&mut self.profile, before.profile);
        or(&mut self.server_info, before.server_info);
        or(&mut self.instructions, before.instructions);
        or(&mut self.directory, before.directory);
        self.image.splice(..0, before.image);
        self.file.splice(..0, before.file);
        self.show_reasoning |= before.show_reasoning;
        self.quiet |= before.quiet;
        self.ignore_user_config |= before.ignore_user_config;
        self.strict_config |= before.strict_config;
        self.ephemeral |= before.ephemeral;
        if self.color == Color::Auto {
            self.color = before.color;
        }
        self.of_codex.or(before.of_codex);
    }
}

impl ExecArgs {
    /// Takes what these flags do not say from those that stood before `exec`.
    pub fn or(&mut self, before: ChatArgs) {
        self.common.or(before.common);
    }
}

/// Show the configuration
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every key that has a value, and the value's source; secrets are hidden
    Show(Box<ShowArgs>),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) select: SelectArgs,

    /// Override a configuration value; KEY is a dotted path, VALUE is TOML or else a string
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    pub(crate) config: Vec<ConfigOverride>,
}

/// List the models that the provider reports as available
#[derive(Clone, Debug, Args)]
pub struct SelectArgs {
    /// The model to ask; takes precedence over all configuration
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    model: Option<String>,

    /// Apply a profile on top of config.toml
    #[arg(short, long, value_name = "NAME")]
    profile: Option<String>,

    /// Ask the proxy that wrote this file
    #[arg(long, value_name = "FILE")]
    server_info: Option<PathBuf>,

    /// Ignore $CODEX_HOME/config.toml
    #[arg(long)]
    ignore_user_config: bool,

    /// Reject a configuration with unknown keys
    #[arg(long)]
    strict_config: bool,
}

impl SelectArgs {
    /// The same flags of a question.
    pub(crate) fn to_common(&self) -> Common {
        Common {
            model: self.model.clone(),
            profile: self.profile.clone(),
            server_info: self.server_info.clone(),
            ignore_user_config: self.ignore_user_config,
            strict_config: self.strict_config,
            ..Common::default()
        }
    }
}

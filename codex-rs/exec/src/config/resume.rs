//! Flags of continuing a conversation, as typed.

use clap::{Args, Subcommand};

use crate::config::args::{ChatArgs, Common, ExecArgs, ExecFlags};
use crate::config::overrides::ConfigOverride;
use crate::sessions::Which;
use crate::terminal::format::Color;

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ExecCommand {
    Resume(Box<ResumeArgs>),
}

/// Continue an earlier conversation with another question
///
/// Conversations are kept in $CODEX_HOME/sessions, including those of OpenAI's Codex CLI. With a
/// question on the command line, standard input is not read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    which: WhichArgs,

    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    flags: ExecFlags,

    /// Override a configuration value; KEY is a dotted path, VALUE is TOML or else a string
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    config: Vec<ConfigOverride>,
}

/// Which conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
struct WhichArgs {
    /// The id of the conversation, a UUID
    #[arg(value_name = "ID")]
    session: Option<String>,

    /// Continue the most recently changed conversation of this directory
    #[arg(long)]
    last: bool,

    /// With --last, consider the conversations of all directories
    #[arg(long, requires = "last")]
    all: bool,
}

/// Continue an earlier conversation on a terminal
///
/// Without an id or --last, lists the conversations of this directory to choose from. If there is
/// no terminal, it is the same as `codex exec resume`.
#[derive(Clone, Debug, Default, Args)]
pub struct ResumeChatArgs {
    #[command(flatten)]
    which: WhichArgs,

    #[command(flatten)]
    chat: ChatArgs,
}

impl WhichArgs {
    /// With --last there is no id, and what stands in its place is the question.
    fn settle(self, prompt: &mut Option<String>) -> Result<Option<Which>, String> {
        if !self.last {
            return Ok(self.session.map(Which::Id));
        }
        match (self.session, &prompt) {
            (Some(_), Some(_)) => {
                return Err("--last stands in the place of an id: give one of them".to_owned());
            }
            (Some(question), None) => *prompt = Some(question),
            (None, _) => {}
        }
        Ok(Some(Which::Last { anywhere: self.all }))
    }
}

impl ExecArgs {
    /// The same without a subcommand, which session to continue, and the overrides with those that stood
    /// behind the subcommand.
    ///
    /// # Errors
    ///
    /// A sentence about what was typed.
    pub(crate) fn settle(
        mut self,
        overrides: &[ConfigOverride],
    ) -> Result<(Self, Option<Which>, Vec<ConfigOverride>), String> {
        let mut overrides = overrides.to_vec();
        let Some(ExecCommand::Resume(resume)) = self.command.take() else {
            return Ok((self, None, overrides));
        };
        if self.common.prompt.is_some() {
            return Err("the question comes after `resume`".to_owned());
        }
        let ResumeArgs {
            which,
            mut common,
            mut flags,
            config,
        } = *resume;
        common.or(self.common);
        flags.or(self.flags);
        overrides.extend(config);
        let which = which.settle(&mut common.prompt)?;
        if which.is_none() {
            return Err(
                "name the conversation: codex exec resume ID, or --last for the latest".to_owned(),
            );
        }
        let args = Self {
            common,
            flags,
            command: None,
        };
        Ok((args, which, overrides))
    }
}

impl ResumeChatArgs {
    /// Takes what these flags do not say from those that stood before `resume`.
    pub fn or(&mut self, before: ChatArgs) {
        self.chat.common.or(before.common);
    }

    /// Whether to be quiet, and when to use colours.
    pub(crate) fn look(&self) -> (bool, Color) {
        (self.chat.common.quiet, self.chat.common.color)
    }

    /// The same as flags of a conversation, and which to continue: `None` to choose from a list.
    ///
    /// # Errors
    ///
    /// A sentence about what was typed.
    pub(crate) fn settle(self) -> Result<(ChatArgs, Option<Which>), String> {
        let mut chat = self.chat;
        let which = self.which.settle(&mut chat.common.prompt)?;
        Ok((chat, which))
    }
}

//! `codex`: a conversation on a terminal.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::command::exec::{end, environment, no_runtime, run_exec, runtime};
use crate::command::exit::Stop;
use crate::command::mistyped;
use crate::config::Config;
use crate::config::args::{ChatArgs, Common};
use crate::config::overrides::ConfigOverride;
use crate::conversation::{Conversation, Question};
use crate::events::answer::Answer;
use crate::events::server_error::MAX_MESSAGE;
use crate::prompt;
use crate::prompt::attachments::Attachments;
use crate::prompt::stdin::stdin_is_terminal;
use crate::terminal::Screen;
use crate::terminal::editor::{Editor, Line, Saved};
use crate::terminal::format::Format;
use crate::terminal::printable::excerpt;
use crate::terminal::signals::{Interrupt, Signal, Signals};
use crate::transport::Client;
use crate::transport::error::Fault;
use crate::turn::Asker;

/// Runs a conversation, or `codex exec` where there is no terminal on both ends.
#[must_use]
pub fn run_chat(args: ChatArgs, overrides: &[ConfigOverride]) -> ExitCode {
    if !(stdin_is_terminal() && io::stdout().is_terminal()) {
        let args = args.into_exec();
        if let Some(word) = args
            .common
            .prompt
            .as_deref()
            .filter(|word| mistyped::may_be_command(word))
        {
            let mut screen = Screen::new(args.common.quiet, Format::Text, args.common.color);
            return end(&Stop::Usage(mistyped::no_such(word)), &mut screen);
        }
        return run_exec(&args, overrides);
    }
    let mut screen = Screen::new(args.common.quiet, Format::Text, args.common.color);
    match chat(&args.common, overrides, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, &mut screen),
    }
}

fn chat(args: &Common, overrides: &[ConfigOverride], screen: &mut Screen) -> Result<(), Stop> {
    if let Some(hint) = args.prompt.as_deref().and_then(mistyped::hint) {
        return Err(Stop::Usage(hint));
    }
    if let Some(says) = args.of_codex.refused() {
        return Err(Stop::Usage(says));
    }
    let config = Config::load(args, overrides, &environment)?;
    for note in &config.notes {
        screen.note(note);
    }
    // Before the first prompt: what is wrong with them is not a surprise after a question was typed.
    let (first, attached) = match &args.prompt {
        Some(_) => (Some(prompt::question(args)?), Attachments::default()),
        None => (None, Attachments::read(args)?),
    };
    let client = Client::new(&config.provider)?;
    let runtime = runtime()?;
    let settings = Saved::take();
    screen.note(&format!(
        "A chat with {} by {}, no agent: it runs nothing. A backslash at the end of a line goes \
         on in the next, Ctrl-C cancels an answer, Ctrl-D leaves.",
        config.model, config.provider.id
    ));
    let outcome = runtime.block_on(async {
        let mut chat = Chat {
            asker: Asker {
                client: &client,
                config: &config,
                goes_on: true,
            },
            conversation: Conversation::default(),
            editor: Editor::start(config.home.as_deref(), screen.has_colours()),
            signals: Signals::listen(Interrupt::Cancels, settings.clone()).map_err(no_runtime)?,
            screen,
        };
        chat.run(first, attached).await
    });
    settings.restore();
    runtime.shutdown_background();
    outcome
}

/// A conversation under way.
struct Chat<'a> {
    asker: Asker<'a>,
    conversation: Conversation,
    editor: Editor,
    signals: Signals,
    screen: &'a mut Screen,
}

impl Chat<'_> {
    /// Questions and answers until Ctrl-D. What is attached goes with the first question.
    async fn run(&mut self, first: Option<Question>, attached: Attachments) -> Result<(), Stop> {
        let mut attached = attached;
        if let Some(question) = first {
            self.turn(question).await?;
        }
        loop {
            match self.line().await? {
                Line::End => return Ok(()),
                Line::Interrupted => self.screen.note("Ctrl-D leaves"),
                Line::Text(text) if text.trim().is_empty() => {}
                Line::Text(text) => match prompt::question_of(text, Attachments::default()) {
                    Ok(question) => {
                        let attached = std::mem::take(&mut attached);
                        self.turn(Question {
                            attached,
                            ..question
                        })
                        .await?;
                    }
                    Err(error) => self.screen.error(&error.to_string()),
                },
            }
        }
    }

    async fn line(&mut self) -> Result<Line, Stop> {
        let mut line = std::pin::pin!(self.editor.line());
        loop {
            tokio::select! {
                line = &mut line => return line.map_err(Stop::Failed),
                signal = self.signals.next() => match signal {
                    // Sent by somebody else: typed, it would be part of the line.
                    Signal::Interrupt => {}
                    Signal::Terminate => return Err(Stop::Signal(signal)),
                },
            }
        }
    }

    /// One question and what comes of it. Only what ends the conversation is an error.
    async fn turn(&mut self, question: Question) -> Result<(), Stop> {
        self.conversation.ask(question);
        let mut answer = Answer::default();
        let outcome = tokio::select! {
            outcome = self.asker.answer(&self.conversation, &mut answer, self.screen) => {
                outcome.map_err(Stop::from)
            }
            signal = self.signals.next() => Err(Stop::Signal(signal)),
        };
        let cannot_write = |cause| Stop::from(Fault::Output(cause));
        self.screen.leave_answer().await.map_err(cannot_write)?;
        if !answer.refusal.is_empty() {
            let refusal = self.asker.client.redactor().clean(&answer.refusal);
            let refusal = excerpt(&refusal, MAX_MESSAGE);
            let refusal = format!("the model refused to answer: {refusal}");
            self.screen.error(&refusal);
        }
        let is_lost = answer.text.is_empty() && answer.refusal.is_empty();
        self.conversation.answered(answer);
        match outcome {
            Ok(()) => return Ok(()),
            Err(Stop::Signal(Signal::Interrupt)) => self.screen.note("cancelled"),
            Err(Stop::Failed(message)) => self.screen.error(&message),
            Err(stop) => return Err(stop),
        }
        if is_lost {
            // Asked again it would otherwise stand there twice.
            self.conversation.unask();
        }
        Ok(())
    }
}

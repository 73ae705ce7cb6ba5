//! `codex`: a conversation on a terminal.

pub(crate) mod command;
mod commands;
mod transcript;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::chat::command::Input;
use crate::command::exec::{begin, end, environment, no_runtime, run_exec, run_settled, runtime};
use crate::command::exit::Stop;
use crate::command::mistyped;
use crate::config::Config;
use crate::config::args::{ChatArgs, Common};
use crate::config::overrides::ConfigOverride;
use crate::config::resume::ResumeChatArgs;
use crate::conversation::{Conversation, Question};
use crate::events::answer::Answer;
use crate::events::server_error::MAX_MESSAGE;
use crate::prompt;
use crate::prompt::attachments::Attachments;
use crate::prompt::stdin::stdin_is_terminal;
use crate::sessions::{Listed, Outcome, Recorder, Which};
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
    talk(&args.common, overrides, &Start::New)
}

/// Goes on with an earlier conversation, by `codex exec resume` where there is no terminal on both
/// ends.
#[must_use]
pub fn run_resume(args: ResumeChatArgs, overrides: &[ConfigOverride]) -> ExitCode {
    let (quiet, color) = args.look();
    let (args, which) = match args.settle() {
        Ok(settled) => settled,
        Err(says) => {
            let mut screen = Screen::new(quiet, Format::Text, color);
            return end(&Stop::Usage(says), &mut screen);
        }
    };
    if stdin_is_terminal() && io::stdout().is_terminal() {
        return talk(
            &args.common,
            overrides,
            &which.map_or(Start::List, Start::With),
        );
    }
    let mut screen = Screen::new(quiet, Format::Text, color);
    match which {
        Some(which) => run_settled(&args.into_exec(), Some(&which), overrides, &mut screen),
        None => {
            let says = "name the conversation: codex resume ID, or --last for the latest";
            end(&Stop::Usage(says.to_owned()), &mut screen)
        }
    }
}

/// What a conversation begins with.
enum Start {
    New,
    With(Which),
    /// Nothing, and a list of earlier ones.
    List,
}

fn talk(args: &Common, overrides: &[ConfigOverride], start: &Start) -> ExitCode {
    let mut screen = Screen::new(args.quiet, Format::Text, args.color);
    match chat(args, overrides, start, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, &mut screen),
    }
}

fn chat(
    args: &Common,
    overrides: &[ConfigOverride],
    start: &Start,
    screen: &mut Screen,
) -> Result<(), Stop> {
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
    let which = match start {
        Start::With(which) => Some(which),
        Start::New | Start::List => None,
    };
    let (is_kept, directory) = (!args.ephemeral, args.directory.clone());
    let (recorder, conversation) = begin(&config, which, is_kept, directory.as_deref(), screen)?;
    let runtime = runtime()?;
    let settings = Saved::take();
    screen.note(&format!(
        "A chat with {} by {}, no agent: it runs nothing. A backslash at the end of a line goes \
         on in the next, Ctrl-C cancels an answer, Ctrl-D leaves, /help lists commands.",
        config.model, config.provider.id
    ));
    let outcome = runtime.block_on(async {
        let mut chat = Chat {
            client: &client,
            editor: Editor::start(config.home.as_deref(), screen.has_colours()),
            config,
            conversation,
            recorder,
            is_kept,
            directory,
            listed: Vec::new(),
            signals: Signals::listen(Interrupt::Cancels, settings.clone()).map_err(no_runtime)?,
            screen,
        };
        match start {
            Start::New => {}
            Start::With(_) => chat.show_last().await?,
            Start::List => chat.list(),
        }
        chat.run(first, attached).await
    });
    settings.restore();
    runtime.shutdown_background();
    outcome
}

/// A conversation under way.
struct Chat<'a> {
    client: &'a Client,
    config: Config,
    conversation: Conversation,
    recorder: Recorder,
    /// Whether conversations are kept.
    is_kept: bool,
    /// Where it works, if not in the current directory.
    directory: Option<PathBuf>,
    /// The earlier conversations as they were numbered last.
    listed: Vec<Listed>,
    editor: Editor,
    signals: Signals,
    screen: &'a mut Screen,
}

impl Chat<'_> {
    /// Questions, answers and commands until Ctrl-D. What is attached goes with the first question.
    async fn run(&mut self, first: Option<Question>, attached: Attachments) -> Result<(), Stop> {
        let mut attached = attached;
        if let Some(question) = first {
            self.turn(question).await?;
        }
        loop {
            match self.line().await? {
                Line::End => break,
                Line::Interrupted => self.screen.note("Ctrl-D leaves"),
                Line::Text(text) if text.trim().is_empty() => {}
                Line::Text(text) => match command::read(&text) {
                    Input::Command(command) => {
                        if !self.obey(command).await? {
                            break;
                        }
                    }
                    Input::Wrong(says) => self.screen.error(&says),
                    Input::Question(text) => self.question(text, &mut attached).await?,
                },
            }
        }
        self.say_how_to_resume();
        Ok(())
    }

    async fn question(&mut self, text: String, attached: &mut Attachments) -> Result<(), Stop> {
        match prompt::question_of(text, Attachments::default()) {
            Ok(question) => {
                let attached = std::mem::take(attached);
                self.turn(Question {
                    attached,
                    ..question
                })
                .await
            }
            Err(error) => {
                self.screen.error(&error.to_string());
                Ok(())
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
        let redactor = self.client.redactor();
        if let Some(question) = self.conversation.last_question()
            && let Some(lost) = self.recorder.asked(question, &self.config.model, redactor)
        {
            self.screen.note(&lost);
        }
        let asker = Asker {
            client: self.client,
            config: &self.config,
            goes_on: true,
        };
        let mut answer = Answer::default();
        let outcome = tokio::select! {
            outcome = asker.answer(&self.conversation, &mut answer, self.screen) => {
                outcome.map_err(Stop::from)
            }
            signal = self.signals.next() => Err(Stop::Signal(signal)),
        };
        let left = self.screen.leave_answer().await;
        if !answer.refusal.is_empty() {
            let refusal = excerpt(&redactor.clean(&answer.refusal), MAX_MESSAGE);
            let refusal = format!("the model refused to answer: {refusal}");
            self.screen.error(&refusal);
        }
        let is_lost = outcome.is_err() && answer.text.is_empty() && answer.refusal.is_empty();
        self.keep(answer, Outcome::of(&outcome), is_lost);
        left.map_err(|cause| Stop::from(Fault::Output(cause)))?;
        match outcome {
            Ok(()) => Ok(()),
            Err(Stop::Signal(signal)) => self.interrupted(signal),
            Err(Stop::Failed(message)) => {
                self.screen.error(&message);
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    /// What came of a question becomes a part of the conversation.
    fn keep(&mut self, answer: Answer, outcome: Outcome, is_lost: bool) {
        let usage = answer.usage.map(Into::into);
        self.conversation
            .answered(answer, outcome == Outcome::Answered);
        let (items, redactor) = (self.conversation.last_answer(), self.client.redactor());
        let mut lost = self.recorder.answered(items, outcome, usage, redactor);
        if is_lost {
            // Asked again it would otherwise stand there twice.
            self.conversation.unask();
            lost = lost.or_else(|| self.recorder.taken_back());
        }
        if let Some(lost) = lost {
            self.screen.note(&lost);
        }
    }

    /// Ctrl-C cancels what is under way; being told to end is another thing.
    fn interrupted(&mut self, signal: Signal) -> Result<(), Stop> {
        match signal {
            Signal::Interrupt => {
                self.screen.note("cancelled");
                Ok(())
            }
            Signal::Terminate => Err(Stop::Signal(signal)),
        }
    }
}

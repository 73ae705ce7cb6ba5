//! `codex exec`: one question, one answer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use crate::answer::Answer;
use crate::args::ExecArgs;
use crate::client::Client;
use crate::config::Config;
use crate::config_override::ConfigOverride;
use crate::conversation::Conversation;
use crate::printable::excerpt;
use crate::prompt;
use crate::screen::Screen;
use crate::server_error::MAX_MESSAGE;
use crate::signals::{Signal, Signals};
use crate::stop::Stop;
use crate::terminal::Saved;
use crate::turn::Asker;
use crate::way_out::Interrupt;

/// Runs `codex exec` and says what went wrong, if anything did.
///
/// The exit code: 0 for a whole answer, 1 for a failure, 2 for a command line that cannot work,
/// 130 after Ctrl-C, 143 after SIGTERM; on a terminal Ctrl-C ends it by the signal itself, which
/// shells report as 130. A reader of standard output that leaves is no failure.
#[must_use]
pub fn run_exec(args: &ExecArgs, overrides: &[ConfigOverride]) -> ExitCode {
    let mut screen = Screen::new(args.common.quiet, args.json);
    match exec(args, overrides, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, &mut screen),
    }
}

/// The last word.
pub(crate) fn end(stop: &Stop, screen: &mut Screen) -> ExitCode {
    screen.go_on();
    if let Some(message) = stop.message() {
        screen.error(message);
    }
    if let Stop::Signal(signal @ Signal::Interrupt) = stop
        && screen.is_on_terminal()
    {
        // A shell goes on with its loop over a program that only exits with 130. Where nothing is a
        // terminal, whoever started it reads an exit code.
        signal.end_process();
    }
    stop.exit_code()
}

fn exec(args: &ExecArgs, overrides: &[ConfigOverride], screen: &mut Screen) -> Result<(), Stop> {
    let config = Config::load(&args.common, overrides, &environment)?;
    let last_message = args.output_last_message.as_deref();
    let last_message = last_message.map(LastMessage::open).transpose()?;
    if last_message.is_some() {
        screen.outlive_reader();
    }
    // Before the signals are ours: while it waits for standard input, Ctrl-C just ends it.
    let question = prompt::question(args.common.prompt.as_deref(), &args.common.image)?;
    let client = Client::new(&config.provider)?;
    let mut conversation = Conversation::default();
    conversation.ask(question);

    let runtime = runtime()?;
    let asker = Asker {
        client: &client,
        config: &config,
    };
    let mut answer = Answer::default();
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen(Interrupt::Ends, Saved::none()).map_err(no_runtime)?;
        tokio::select! {
            outcome = asker.answer(&conversation, &mut answer, screen) => outcome.map_err(Stop::from),
            signal = signals.next() => Err(Stop::Signal(signal)),
        }
    });
    if outcome.is_err() {
        // Whatever it was, the prompt of the shell begins on a line of its own.
        let _ = runtime.block_on(screen.leave_answer());
    }
    // A write to a reader that does not read must not hold up the end.
    runtime.shutdown_background();
    outcome?;
    if !answer.refusal.is_empty() {
        return Err(Stop::Failed(format!(
            "the model refused to answer: {}",
            excerpt(&answer.refusal, MAX_MESSAGE)
        )));
    }
    let text = client.redactor().clean(&answer.text);
    last_message.map_or(Ok(()), |file| file.write(&text))
}

pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// One thread is enough for one answer.
pub(crate) fn runtime() -> Result<Runtime, Stop> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_runtime)
}

pub(crate) fn no_runtime(cause: io::Error) -> Stop {
    Stop::Failed(format!("could not start: {cause}"))
}

/// The file for the answer: opened before anything is asked, changed only by a whole answer.
struct LastMessage {
    path: PathBuf,
    file: File,
}

impl LastMessage {
    fn open(path: &Path) -> Result<Self, Stop> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        match file {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
            }),
            Err(cause) => Err(cannot_write(path, &cause)),
        }
    }

    fn write(mut self, text: &str) -> Result<(), Stop> {
        let is_file = self.file.metadata().is_ok_and(|found| found.is_file());
        let emptied = if is_file {
            self.file.set_len(0)
        } else {
            Ok(())
        };
        emptied
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|cause| cannot_write(&self.path, &cause))
    }
}

fn cannot_write(path: &Path, cause: &io::Error) -> Stop {
    Stop::Failed(format!("could not write {}: {cause}", path.display()))
}

//! `codex exec`: one question, one answer.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use crate::command::exit::Stop;
use crate::command::last_message::LastMessage;
use crate::config::Config;
use crate::config::args::ExecArgs;
use crate::config::overrides::ConfigOverride;
use crate::conversation::Conversation;
use crate::events::answer::Answer;
use crate::events::server_error::MAX_MESSAGE;
use crate::prompt;
use crate::terminal::Screen;
use crate::terminal::editor::Saved;
use crate::terminal::printable::excerpt;
use crate::terminal::signals::{Interrupt, Signal, Signals};
use crate::transport::Client;
use crate::turn::Asker;

/// Runs `codex exec` and says what went wrong, if anything did.
///
/// The exit code: 0 for a whole answer, 1 for a failure, 2 for a command line that cannot work,
/// 130 after Ctrl-C, 143 after SIGTERM; on a terminal Ctrl-C ends it by the signal itself, which
/// shells report as 130. A reader of standard output that leaves is not a failure.
#[must_use]
pub fn run_exec(args: &ExecArgs, overrides: &[ConfigOverride]) -> ExitCode {
    let mut screen = Screen::new(args.common.quiet, args.json);
    match exec(args, overrides, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, &mut screen),
    }
}

/// Says why it stopped, and gives the exit code.
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
    let question = prompt::question(&args.common)?;
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

pub(crate) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
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

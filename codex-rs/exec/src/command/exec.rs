//! `codex exec`: one question, one answer.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use crate::command::exit::Stop;
use crate::command::last_message::LastMessage;
use crate::command::mistyped;
use crate::config::Config;
use crate::config::args::ExecArgs;
use crate::config::overrides::ConfigOverride;
use crate::config::schema::Schema;
use crate::conversation::Conversation;
use crate::events::answer::Answer;
use crate::events::server_error::MAX_MESSAGE;
use crate::prompt;
use crate::prompt::attachments::Attachments;
use crate::sessions::{Outcome, Recorder, SessionError, Store, Which};
use crate::terminal::Screen;
use crate::terminal::editor::Saved;
use crate::terminal::printable::excerpt;
use crate::terminal::signals::{Interrupt, Signal, Signals};
use crate::transport::Client;
use crate::transport::error::Fault;
use crate::turn::Asker;

/// Runs `codex exec` and says what went wrong, if anything did.
///
/// The exit code: 0 for a whole answer, 1 for a failure, 2 for a command line that cannot work,
/// 130 after Ctrl-C, 143 after SIGTERM; on a terminal Ctrl-C ends it by the signal itself, which
/// shells report as 130. A reader of standard output that leaves is not a failure.
#[must_use]
pub fn run_exec(args: &ExecArgs, overrides: &[ConfigOverride]) -> ExitCode {
    let (args, which, overrides) = match args.clone().settle(overrides) {
        Ok(settled) => settled,
        Err(says) => {
            let format = args.flags.json.into();
            let mut screen = Screen::new(args.common.quiet, format, args.common.color);
            return end(&Stop::Usage(says), &mut screen);
        }
    };
    let format = args.flags.json.into();
    let mut screen = Screen::new(args.common.quiet, format, args.common.color);
    run_settled(&args, which.as_ref(), &overrides, &mut screen)
}

/// The same for a conversation that is named already.
pub(crate) fn run_settled(
    args: &ExecArgs,
    which: Option<&Which>,
    overrides: &[ConfigOverride],
    screen: &mut Screen,
) -> ExitCode {
    match exec(args, which, overrides, screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => end(&stop, screen),
    }
}

/// Says why it stopped, and gives the exit code.
pub(crate) fn end(stop: &Stop, screen: &mut Screen) -> ExitCode {
    screen.go_on();
    if let Some(message) = stop.message() {
        screen.error(message);
    }
    if let Some(event) = stop.event() {
        screen.turn_failed(event);
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

fn exec(
    args: &ExecArgs,
    which: Option<&Which>,
    overrides: &[ConfigOverride],
    screen: &mut Screen,
) -> Result<(), Stop> {
    if let Some(says) = args.common.of_codex.refused() {
        return Err(Stop::Usage(says));
    }
    if let Some(says) = args.common.prompt.as_deref().and_then(mistyped::of_exec) {
        return Err(Stop::Usage(says));
    }
    let mut config = Config::load(&args.common, overrides, &environment)?;
    let schema = args.flags.output_schema.as_deref().map(Schema::read);
    config.schema = schema.transpose()?;
    for note in &config.notes {
        screen.note(note);
    }
    let is_kept = !args.common.ephemeral;
    let (mut recorder, mut conversation) = begin(
        &config,
        which,
        is_kept,
        args.common.directory.as_deref(),
        screen,
    )?;
    // Before the signals are ours, and before there is a file to be left behind: while it waits for standard
    // input, Ctrl-C just ends it.
    let question = match &args.common.prompt {
        // As in Codex.
        Some(prompt) if which.is_some() && prompt != "-" => {
            let attached = Attachments::read(&args.common)?;
            prompt::question_of(prompt.clone(), attached)?
        }
        _ => prompt::question(&args.common)?,
    };
    for note in &question.attached.notes {
        screen.note(note);
    }
    let last_message = args.flags.output_last_message.as_deref();
    let last_message = last_message.map(LastMessage::open).transpose()?;
    if last_message.is_some() {
        screen.outlive_reader();
    }
    let client = Client::new(&config.provider)?;
    conversation.ask(question);

    let runtime = runtime()?;
    let asker = Asker {
        client: &client,
        config: &config,
        goes_on: false,
    };
    let mut answer = Answer::default();
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen(Interrupt::Ends, Saved::none()).map_err(no_runtime)?;
        tokio::select! {
            outcome = ask(&asker, &conversation, &mut recorder, &mut answer, screen) => {
                outcome.map_err(Stop::from)
            }
            signal = signals.next() => Err(Stop::Signal(signal)),
        }
    });
    let (ended, usage) = (Outcome::of(&outcome), answer.usage);
    let outcome = outcome.and_then(|()| settle(&answer, &config, &client, last_message));
    conversation.answered(answer, ended == Outcome::Answered);
    let items = conversation.last_answer();
    let lost = recorder.answered(items, ended, usage.map(Into::into), client.redactor());
    let closing = if outcome.is_ok() {
        runtime.block_on(screen.turn_completed(Some(recorder.total().into())))
    } else {
        // Whatever it was, the prompt of the shell begins on a line of its own.
        let _ = runtime.block_on(screen.leave_answer());
        Ok(())
    };
    if let Some(lost) = lost {
        screen.note(&lost);
    }
    // A write to a reader that does not read must not hold up the end.
    runtime.shutdown_background();
    outcome?;
    closing.map_err(|cause| Fault::Output(cause).into())
}

/// A new session, or the one that is continued.
pub(crate) fn begin(
    config: &Config,
    which: Option<&Which>,
    is_kept: bool,
    directory: Option<&Path>,
    screen: &mut Screen,
) -> Result<(Recorder, Conversation), Stop> {
    let store = Store::new(config.home.as_deref(), &config.provider.id, directory);
    let Some(which) = which else {
        // Without a home there is nowhere to keep anything, and nothing to be said about it.
        let store = store.ok().filter(|_| is_kept);
        return Ok((Recorder::new(store), Conversation::default()));
    };
    let failed = |error: SessionError| Stop::Failed(error.to_string());
    let (recorder, history) = store
        .and_then(|store| store.resume(which, is_kept))
        .map_err(failed)?;
    screen.note(&history.summary(recorder.id(), &config.model));
    Ok((recorder, Conversation::of(history.items)))
}

async fn ask(
    asker: &Asker<'_>,
    conversation: &Conversation,
    recorder: &mut Recorder,
    answer: &mut Answer,
    screen: &mut Screen,
) -> Result<(), Fault> {
    if let Some(question) = conversation.last_question()
        && let Some(lost) = recorder.asked(question, &asker.config.model, asker.client.redactor())
    {
        screen.note(&lost);
    }
    let begun = screen.begin_turn(recorder.id()).await;
    begun.map_err(Fault::Output)?;
    asker.answer(conversation, answer, screen).await
}

/// What has to hold of an answer that is whole.
fn settle(
    answer: &Answer,
    config: &Config,
    client: &Client,
    last_message: Option<LastMessage>,
) -> Result<(), Stop> {
    let redactor = client.redactor();
    if !answer.refusal.is_empty() {
        return Err(Stop::Failed(format!(
            "the model refused to answer: {}",
            excerpt(&redactor.clean(&answer.refusal), MAX_MESSAGE)
        )));
    }
    let text = redactor.clean(answer.last_message());
    if let Some(schema) = &config.schema {
        schema.check(&text).map_err(Stop::Failed)?;
    }
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

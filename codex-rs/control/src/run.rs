//! Runs a command, and prints what it has found.

use std::io::{self, Write};
use std::path::Path;

use crate::amounts::plural;
use crate::command::ControlCommand;
use crate::connection::{ANSWER_TIMEOUT, Connection};
use crate::error::ControlError;
use crate::place::Place;
use crate::printable::printable_json;
use crate::report::report;
use crate::status::Status;
use crate::stop::stop;
use crate::top::top;
use crate::wait::wait;

/// How the proxy is that has this control socket, without its requests in flight.
///
/// # Errors
///
/// [`ControlError`]: nobody is there, it refuses, or it does not answer.
pub fn status(socket: &Path) -> Result<Status, ControlError> {
    Connection::open(socket, ANSWER_TIMEOUT)?.status(false)
}

/// Runs a command; what it has found goes to standard output.
///
/// # Errors
///
/// [`ControlError`], to be printed; of [`is_not_running`](ControlError::is_not_running) with an exit status of its own.
pub fn run(command: &ControlCommand) -> Result<(), ControlError> {
    match command {
        ControlCommand::Status(args) => {
            let status = status(&Place::of(&args.place).socket()?)?;
            if args.json {
                let text = serde_json::to_string_pretty(&status);
                let text = text.map_err(|error| ControlError::Output(error.into()))?;
                print(&(printable_json(&text) + "\n"))
            } else {
                print(&report(&status))
            }
        }
        ControlCommand::Top(args) => top(&Place::of(args)),
        ControlCommand::Wait(args) => wait(&Place::of(&args.place), args.timeout),
        ControlCommand::Stop(args) => {
            let socket = Place::of(&args.place).socket()?;
            let stopped = stop(&socket, args.timeout)?;
            print(&format!(
                "process {} has ended; {} in flight when it was told\n",
                stopped.pid,
                match stopped.in_flight {
                    0 => "nothing was".to_owned(),
                    1 => "1 answer was".to_owned(),
                    several => format!("{} were", plural(several, "answer")),
                }
            ))
        }
    }
}

/// A reader that has left, as `head` does, is no error.
fn print(text: &str) -> Result<(), ControlError> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(ControlError::Output),
    }
}

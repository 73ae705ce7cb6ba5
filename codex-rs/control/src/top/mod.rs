//! Watches a proxy: asked once a second, and shown on a terminal until a key ends it.
//!
//! Three threads wait, for answers, for keys and for signals; one draws whatever comes of the former two.

mod draw;
mod screen;
mod sort;
mod view;

use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event};

use self::draw::draw;
use self::screen::Screen;
use self::view::{After, View};
use crate::connection::{ANSWER_TIMEOUT, Connection};
use crate::error::ControlError;
use crate::place::Place;
use crate::status::Status;

/// How often the proxy is asked.
const EVERY: Duration = Duration::from_secs(1);

/// What the thread that draws is told.
enum Message {
    Status(Box<Status>, Instant),
    /// The proxy does not answer.
    Fault(String),
    Event(Event),
    /// There is no terminal any more.
    NoInput,
}

/// Shows how the proxy is until a key ends it.
///
/// # Errors
///
/// No proxy to begin with, or no terminal.
pub(crate) fn top(place: &Place) -> Result<(), ControlError> {
    let mut connection = Connection::open(&place.socket()?, ANSWER_TIMEOUT)?;
    let status = connection.status(true)?;
    let mut view = View::default();
    view.update(status, Instant::now());
    let mut screen = Screen::open().map_err(ControlError::Terminal)?;
    let (sender, messages) = mpsc::channel();
    let (place, to_view) = (place.clone(), sender.clone());
    thread::spawn(move || ask(&place, connection, &to_view));
    thread::spawn(move || read_events(&sender));
    loop {
        screen
            .draw(|frame| draw(frame, &mut view))
            .map_err(ControlError::Terminal)?;
        // Both senders are gone only if both threads have panicked.
        let Ok(message) = messages.recv() else {
            return Ok(());
        };
        match message {
            Message::Status(status, at) => view.update(*status, at),
            Message::Fault(fault) => view.fault(fault),
            Message::Event(event) => match view.on_event(&event) {
                After::Stay => {}
                After::Redraw => screen.clear().map_err(ControlError::Terminal)?,
                After::Leave => return Ok(()),
            },
            Message::NoInput => return Ok(()),
        }
    }
}

/// Asks for ever: a proxy that has ended may be started anew.
fn ask(place: &Place, first: Connection, to: &Sender<Message>) {
    let mut connection = Some(first);
    loop {
        thread::sleep(EVERY);
        let asked = match &mut connection {
            Some(connection) => connection.status(true),
            None => place
                .socket()
                .and_then(|socket| Connection::open(&socket, ANSWER_TIMEOUT))
                .and_then(|opened| connection.insert(opened).status(true)),
        };
        let message = match asked {
            Ok(status) => Message::Status(Box::new(status), Instant::now()),
            Err(error) => {
                connection = None;
                Message::Fault(error.to_string())
            }
        };
        if to.send(message).is_err() {
            return;
        }
    }
}

fn read_events(to: &Sender<Message>) {
    loop {
        let (message, is_last) = match event::read() {
            Ok(event) => (Message::Event(event), false),
            Err(_) => (Message::NoInput, true),
        };
        if to.send(message).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests;

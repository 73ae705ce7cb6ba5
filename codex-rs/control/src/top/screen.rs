//! The terminal while it is ours, and as it was before.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Whether the terminal is ours. Whoever writes to it holds this.
static IS_OURS: Mutex<bool> = Mutex::new(false);

/// The terminal; given back when this is dropped, also by a panic, and by every signal that can be caught.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be taken.
    pub(super) fn open() -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::other("standard output is not a terminal"));
        }
        give_back_on_signals()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        {
            let mut is_ours = lock();
            // From here on there is something to give back.
            let screen = Self(terminal);
            enable_raw_mode()?;
            *is_ours = true;
            let entered = execute!(io::stdout(), EnterAlternateScreen, Hide);
            drop(is_ours);
            entered.map(|()| screen)
        }
    }

    /// Draws a frame, unless the terminal was given back.
    ///
    /// # Errors
    ///
    /// It cannot be written to.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let is_ours = lock();
        if *is_ours {
            self.0.draw(render)?;
        }
        Ok(())
    }

    /// Has the next frame drawn anew, whatever is there now.
    ///
    /// # Errors
    ///
    /// It cannot be written to.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let is_ours = lock();
        if *is_ours {
            self.0.clear()?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(lock());
    }
}

fn lock() -> MutexGuard<'static, bool> {
    IS_OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give_back(mut is_ours: MutexGuard<'static, bool>) {
    if std::mem::take(&mut *is_ours) {
        // Whatever fails, the rest is tried.
        let mut output = io::stdout();
        let _ = execute!(output, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = output.flush();
    }
}

/// Such a signal ends the process as it would by itself, after the terminal was given back.
fn give_back_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let is_ours = lock();
                give_back(is_ours);
                let _ = emulate_default_handler(signal);
            }
        })?;
    Ok(())
}

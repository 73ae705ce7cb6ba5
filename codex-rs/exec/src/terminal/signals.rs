//! Being told to stop.

use std::io;

use crate::terminal::second_signal::{Interrupt, Noticed, watch};
use crate::terminal::settings::Saved;

/// Who told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    Terminate,
}

impl Signal {
    /// 128 and the signal's number, as shells have it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    /// Ends the process as the signal does by itself, so that whoever started it can tell: a shell
    /// ends its loop, and has the same exit code.
    #[cfg(unix)]
    pub(crate) fn end_process(self) {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let number = match self {
            Self::Interrupt => SIGINT,
            Self::Terminate => SIGTERM,
        };
        // It does not return but for numbers it does not know.
        let _ = signal_hook::low_level::emulate_default_handler(number);
    }

    /// Ends the process at once.
    #[cfg(not(unix))]
    #[allow(clippy::disallowed_methods, reason = "there are no pages to wipe")]
    pub(crate) fn end_process(self) {
        std::process::exit(self.exit_code().into());
    }
}

/// Listens from now on; the signals no longer end the process by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    received: Received,
    noticed: Noticed,
}

impl Signals {
    /// There is a second way out from now on, which puts `settings` back.
    ///
    /// # Errors
    ///
    /// The system refuses the handlers.
    pub(crate) fn listen(interrupt: Interrupt, settings: Saved) -> io::Result<Self> {
        let received = Received::listen()?;
        let noticed = Noticed::default();
        watch(interrupt, settings, noticed.clone());
        Ok(Self { received, noticed })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        let signal = self.received.next().await;
        self.noticed.now();
        signal
    }
}

/// The signals as one runtime hears them; each has its own.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Received {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Received {
    /// # Errors
    ///
    /// The system refuses the handlers.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            else => std::future::pending().await,
        }
    }
}

/// Ctrl-C as one runtime hears it.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Received;

#[cfg(not(unix))]
impl Received {
    /// # Errors
    ///
    /// None here.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        Signal::Interrupt
    }
}

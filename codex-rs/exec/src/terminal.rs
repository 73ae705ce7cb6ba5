//! The terminal's settings, put back when the line editor cannot.

#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The settings of standard input as they were.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Saved(Option<Termios>);

#[cfg(unix)]
impl Saved {
    pub(crate) fn take() -> Self {
        Self(tcgetattr(rustix::stdio::stdin()).ok())
    }

    /// Puts them back, at once: whoever waits for a key does not see it.
    pub(crate) fn restore(&self) {
        if let Some(settings) = &self.0 {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// Nothing that we could put back.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Saved;

#[cfg(not(unix))]
impl Saved {
    pub(crate) fn take() -> Self {
        Self
    }

    pub(crate) fn restore(&self) {}
}

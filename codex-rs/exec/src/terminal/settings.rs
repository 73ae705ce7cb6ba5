//! The terminal's settings, put back when the line editor cannot.

#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The settings of standard input as they were.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub(crate) struct Saved(Option<Termios>);

#[cfg(unix)]
impl Saved {
    pub(crate) fn take() -> Self {
        Self(tcgetattr(rustix::stdio::stdin()).ok())
    }

    /// Nothing was changed, so nothing is put back.
    pub(crate) fn none() -> Self {
        Self(None)
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
#[derive(Clone, Debug)]
pub(crate) struct Saved;

#[cfg(not(unix))]
impl Saved {
    pub(crate) fn take() -> Self {
        Self
    }

    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn restore(&self) {}
}

//! SIGTERM, SIGINT, `GET /shutdown`, and reasons of the proxy's own -> one state that only moves forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::watch;

/// How far the end has come. Each request to stop moves it on by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Serving.
    Serving,
    /// No new work; what is in flight may finish.
    Draining,
    /// Over, whatever is in flight.
    Over,
}

/// A handle to the state; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    stage: watch::Sender<Stage>,
    /// Somebody has asked for the end: the next one who does wants it at once.
    is_asked_for: Arc<AtomicBool>,
    /// The signal that made it [`Stage::Over`]; 0 for none.
    ended_by: Arc<AtomicU8>,
    /// The key is gone.
    is_expired: Arc<AtomicBool>,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Serving),
            is_asked_for: Arc::default(),
            ended_by: Arc::default(),
            is_expired: Arc::default(),
        }
    }

    /// Somebody asks for the end: the first time what is in flight may finish, the second time it is over.
    pub(crate) fn advance(&self) {
        let is_repeated = self.is_asked_for.swap(true, Ordering::Relaxed);
        self.stage.send_modify(|stage| {
            *stage = match is_repeated {
                false => Stage::Draining.max(*stage),
                true => Stage::Over,
            };
        });
    }

    /// The proxy ends by itself, and lets finish what is in flight. Whoever asks for the end then is the first who does.
    pub(crate) fn begin(&self) {
        self.stage
            .send_modify(|stage| *stage = Stage::Draining.max(*stage));
    }

    /// The same, because the key is gone: no request can begin any more.
    pub(crate) fn expire(&self) {
        self.is_expired.store(true, Ordering::Relaxed);
        self.begin();
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.is_expired.load(Ordering::Relaxed)
    }

    pub(crate) fn is_begun(&self) -> bool {
        *self.stage.borrow() > Stage::Serving
    }

    /// Waits until `stage` is reached or passed.
    pub(crate) async fn reached(&self, stage: Stage) {
        let mut changes = self.stage.subscribe();
        // Fails only if no sender is left, and `self` is one.
        let _ = changes.wait_for(|&now| now >= stage).await;
    }

    /// The signal that cut the drain short, if one did.
    pub(crate) fn ended_by_signal(&self) -> Option<u8> {
        Some(self.ended_by.load(Ordering::Relaxed)).filter(|&signal| signal > 0)
    }

    /// Lets SIGTERM and SIGINT move the state on, from now on, unless whoever started this process had
    /// it ignore them: a shell does with SIGINT for what runs in the background while somebody else
    /// has the terminal. SIGHUP is for `lifecycle/reload.rs`.
    ///
    /// # Errors
    ///
    /// When a handler cannot be installed. Needs a runtime around it.
    #[cfg(unix)]
    pub(crate) fn listen_to_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};

        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            if codex_process_hardening::is_ignored(kind.as_raw_value())? {
                continue;
            }
            let mut signals = signal(kind)?;
            let shutdown = self.clone();
            let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if shutdown.is_asked_for.load(Ordering::Relaxed) {
                        shutdown.ended_by.store(number, Ordering::Relaxed);
                    }
                    shutdown.advance();
                }
            });
        }
        Ok(())
    }

    #[cfg(not(unix))]
    pub(crate) fn listen_to_signals(&self) -> std::io::Result<()> {
        let shutdown = self.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                shutdown.advance();
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(shutdown: &Shutdown) -> Stage {
        *shutdown.stage.borrow()
    }

    #[test]
    fn who_asks_twice_does_not_wait() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_begun());
        shutdown.advance();
        assert_eq!(stage(&shutdown), Stage::Draining);
        shutdown.advance();
        assert_eq!(stage(&shutdown), Stage::Over);
        shutdown.begin();
        assert_eq!(stage(&shutdown), Stage::Over);
    }

    #[test]
    fn an_end_of_its_own_accord_is_not_cut_short_by_the_first_who_asks() {
        let shutdown = Shutdown::new();
        shutdown.expire();
        assert!(shutdown.is_begun() && shutdown.is_expired());
        shutdown.advance();
        assert_eq!(stage(&shutdown), Stage::Draining);
        shutdown.advance();
        assert_eq!(stage(&shutdown), Stage::Over);
    }
}

//! SIGTERM, SIGINT, `GET /shutdown` -> one state that only moves forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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
    /// The signal that made it [`Stage::Over`]; 0 for none.
    ended_by: Arc<AtomicU8>,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Serving),
            ended_by: Arc::new(AtomicU8::new(0)),
        }
    }

    /// Moves on by one stage.
    pub(crate) fn advance(&self) {
        self.stage.send_modify(|stage| {
            *stage = match stage {
                Stage::Serving => Stage::Draining,
                Stage::Draining | Stage::Over => Stage::Over,
            };
        });
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
    /// has the terminal. SIGHUP keeps what it does, which by default is to end the process.
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
                    if shutdown.is_begun() {
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

//! The second way out: a signal ends the program although its own thread is stuck in a write.
//!
//! A terminal that was stopped with Ctrl-S, or a pipe that nobody reads, blocks whoever writes to
//! it, for ever. So a thread that never writes hears the signals too, and ends the process when the
//! first way takes too long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::terminal::settings::Saved;
use crate::terminal::signals::{Received, Signal};

/// How long an orderly end may take.
const GRACE: Duration = Duration::from_millis(500);
/// How long a conversation may take to notice that its answer is to be cancelled.
const NOTICE: Duration = Duration::from_secs(1);

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    Ends,
    /// It cancels an answer, and the program goes on.
    Cancels,
}

/// When a signal was last noticed where it should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noticed(Arc<Mutex<Option<Instant>>>);

impl Noticed {
    pub(crate) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The two threads hear of the same signal in no particular order.
    fn since(&self, time: Instant) -> bool {
        let noticed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.is_some_and(|noticed| noticed + GRACE > time)
    }
}

/// Watches from a thread of its own until the process ends. Where there can be no such thread
/// there is one way out only.
pub(crate) fn watch(interrupt: Interrupt, settings: Saved, noticed: Noticed) {
    let thread = std::thread::Builder::new().name("way-out".to_owned());
    let _ = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            let signal = runtime.block_on(stuck(interrupt, &noticed));
            settings.restore();
            signal.end_process();
        }
    });
}

/// Waits for a signal that nothing comes of.
async fn stuck(interrupt: Interrupt, noticed: &Noticed) -> Signal {
    let Ok(mut signals) = Received::listen() else {
        return std::future::pending().await;
    };
    let mut signal = signals.next().await;
    let mut came = Instant::now();
    loop {
        if interrupt == Interrupt::Ends || signal == Signal::Terminate {
            // What comes first: a second one, or the end of patience.
            let _ = tokio::time::timeout(GRACE, signals.next()).await;
            return signal;
        }
        let deadline = tokio::time::Instant::from_std(came + NOTICE);
        match tokio::time::timeout_at(deadline, signals.next()).await {
            Ok(Signal::Terminate) => signal = Signal::Terminate,
            Ok(Signal::Interrupt) if noticed.since(came) => came = Instant::now(),
            Ok(Signal::Interrupt) => {}
            Err(_) if noticed.since(came) => {
                signal = signals.next().await;
                came = Instant::now();
            }
            Err(_) => return signal,
        }
    }
}

//! Signals that ask the program to stop, and a watchdog that ends it although its own thread is stuck.
//!
//! A terminal that was stopped with Ctrl-S, or a pipe that nobody reads, blocks whoever writes to
//! it, for ever. So a thread that never writes receives the signals too, and ends the process when the
//! orderly end takes too long.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::terminal::editor::Saved;

/// How long an orderly end may take.
const GRACE: Duration = Duration::from_millis(500);
/// How long a conversation may take to cancel its answer.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// A signal that asks the program to stop.
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
    last_received: LastReceived,
}

impl Signals {
    /// The watchdog runs from now on; it puts `settings` back before it ends the process.
    ///
    /// # Errors
    ///
    /// The system refuses the handlers.
    pub(crate) fn listen(interrupt: Interrupt, settings: Saved) -> io::Result<Self> {
        let received = Received::listen()?;
        let last_received = LastReceived::default();
        start_watchdog(interrupt, settings, last_received.clone());
        Ok(Self {
            received,
            last_received,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        let signal = self.received.next().await;
        self.last_received.now();
        signal
    }
}

/// The signals as one runtime receives them; each runtime has its own.
#[cfg(unix)]
#[derive(Debug)]
struct Received {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Received {
    /// # Errors
    ///
    /// The system refuses the handlers.
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            else => std::future::pending().await,
        }
    }
}

/// Ctrl-C as one runtime receives it.
#[cfg(not(unix))]
#[derive(Debug)]
struct Received;

#[cfg(not(unix))]
impl Received {
    /// # Errors
    ///
    /// None here.
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        Signal::Interrupt
    }
}

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    Ends,
    /// It cancels an answer, and the program goes on.
    Cancels,
}

/// When the program itself last received a signal.
#[derive(Clone, Debug, Default)]
struct LastReceived(Arc<Mutex<Option<Instant>>>);

impl LastReceived {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The two threads receive the same signal in no particular order.
    fn since(&self, time: Instant) -> bool {
        let last_received = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last_received.is_some_and(|last_received| last_received + GRACE > time)
    }
}

/// Watches from a thread of its own until the process ends. Where there can be no such thread
/// nothing but the orderly end is left.
fn start_watchdog(interrupt: Interrupt, settings: Saved, last_received: LastReceived) {
    let thread = std::thread::Builder::new().name("signal-watchdog".to_owned());
    let _ = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            let signal = runtime.block_on(ignored_signal(interrupt, &last_received));
            settings.restore();
            signal.end_process();
        }
    });
}

/// Waits for a signal that is not acted upon.
async fn ignored_signal(interrupt: Interrupt, last_received: &LastReceived) -> Signal {
    let Ok(mut signals) = Received::listen() else {
        return std::future::pending().await;
    };
    let mut signal = signals.next().await;
    let mut came = Instant::now();
    loop {
        if interrupt == Interrupt::Ends || signal == Signal::Terminate {
            // What comes first: a second one, or the end of the grace period.
            let _ = tokio::time::timeout(GRACE, signals.next()).await;
            return signal;
        }
        let deadline = tokio::time::Instant::from_std(came + CANCEL_TIMEOUT);
        match tokio::time::timeout_at(deadline, signals.next()).await {
            Ok(Signal::Terminate) => signal = Signal::Terminate,
            Ok(Signal::Interrupt) if last_received.since(came) => came = Instant::now(),
            Ok(Signal::Interrupt) => {}
            Err(_) if last_received.since(came) => {
                signal = signals.next().await;
                came = Instant::now();
            }
            Err(_) => return signal,
        }
    }
}

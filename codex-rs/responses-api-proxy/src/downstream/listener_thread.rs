//! A listener for operators, answered by a thread of its own and never by one that serves callers.

use std::convert::Infallible;
use std::io;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::downstream::workers;
use crate::net::listeners::{BoundListener, Listeners};

/// The stack of the thread, in bytes.
const STACK: usize = 512 * 1024;

/// The thread, which ends when this is dropped; connections that are open end with it.
#[derive(Debug)]
pub(crate) struct ListenerThread {
    until: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ListenerThread {
    /// Starts the thread, which is as confined as the one that starts it, and has it `accept` for ever.
    ///
    /// # Errors
    ///
    /// When there is no thread, no descriptor to poll with, or a listener that cannot be polled.
    pub(crate) fn start<A>(
        name: &str,
        listener: BoundListener,
        accept: impl FnOnce(Listeners) -> A + Send + 'static,
    ) -> io::Result<Self>
    where
        A: Future<Output = Infallible>,
    {
        let runtime = workers::runtime()?;
        let listeners = {
            let _within = runtime.enter();
            Listeners::new(vec![listener])?
        };
        let (until, mut ended) = watch::channel(());
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    never = accept(listeners) => match never {},
                    // Nothing is ever sent: an error, once the sender is gone, is the end.
                    _gone = ended.changed() => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK)
            .spawn(work)?;
        Ok(Self {
            until: Some(until),
            thread: Some(thread),
        })
    }
}

impl Drop for ListenerThread {
    fn drop(&mut self) {
        drop(self.until.take());
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

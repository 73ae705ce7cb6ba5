//! SIGHUP: whatever the proxy has read and can read again is read again. It never ends the process, and always has a line.

use std::pin::Pin;

use crate::lifecycle::notify::Notifier;
use crate::observe::stderr;

/// Reads one thing again, and says what came of that.
type Again = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>;

/// All that is read again, in its order.
#[derive(Default)]
pub(crate) struct Reload(Vec<Again>);

impl Reload {
    /// `again` says itself what it has read.
    pub(crate) fn and<F: Future<Output = ()> + 'static>(
        &mut self,
        again: impl Fn() -> F + 'static,
    ) {
        self.0.push(Box::new(move || Box::pin(again())));
    }

    /// One after the other, and the service manager knows.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no signal for it"))]
    async fn all(&self, notifier: &Notifier) {
        #[cfg(unix)]
        notifier.reloading();
        if self.0.is_empty() {
            stderr::line(NOTHING);
        }
        for again in &self.0 {
            again().await;
        }
        notifier.ready();
    }

    /// From now on SIGHUP has all of it read again, also where whoever started this process had it ignore the signal
    /// (nohup(1)): it would end nothing. Needs a runtime of one thread around it, and to be polled in it.
    ///
    /// # Errors
    ///
    /// When the handler cannot be installed.
    #[cfg(unix)]
    pub(crate) fn on_hangup(
        self,
        notifier: Notifier,
    ) -> std::io::Result<impl Future<Output = std::convert::Infallible>> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut hangups = signal(SignalKind::hangup())?;
        Ok(async move {
            // One that came while things were read for the first time may have been about these.
            if codex_process_hardening::hangup_came() {
                self.all(&notifier).await;
            }
            while hangups.recv().await.is_some() {
                self.all(&notifier).await;
            }
            std::future::pending().await
        })
    }

    /// There is no such signal here.
    #[cfg(not(unix))]
    pub(crate) fn on_hangup(
        self,
        _notifier: Notifier,
    ) -> std::io::Result<impl Future<Output = std::convert::Infallible>> {
        Ok(std::future::pending())
    }
}

/// What is said where nothing can be read again.
const NOTHING: &str = "SIGHUP: there is nothing to read again; what can be is a key file or command, a policy, client \
                       tokens and logs";

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_after_the_other_in_their_order() {
        let read: Rc<RefCell<Vec<u32>>> = Rc::default();
        let mut reload = Reload::default();
        for number in 0..3 {
            let read = Rc::clone(&read);
            reload.and(move || {
                let read = Rc::clone(&read);
                async move {
                    tokio::task::yield_now().await;
                    read.borrow_mut().push(number);
                }
            });
        }
        reload.all(&Notifier::default()).await;
        assert_eq!(*read.borrow(), [0, 1, 2]);
    }
}

//! What drives a connection to the upstream: a task of its own, or whoever reads the answer.
//!
//! hyper's connections are futures that do nothing unless polled. A task polls each. Over HTTP/1.1 hyper
//! hands over an answer one chunk at a time, though, and two tasks that take turns at every chunk are most
//! of the work of a relay. So once the request is sent, the task that reads the answer drives the
//! connection itself: when there is nothing to hand over, it has looked.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Waker};

/// A connection that is driven; clones share it. It ends with the last clone, or at [`end`](Self::end).
///
/// It is locked while it is polled, and within a poll requests end, whose places are given to others
/// then: what the pool asks must not wait for the lock.
pub(super) struct Driver<C>(Arc<Mutex<Driven<C>>>);

struct Driven<C> {
    /// `None` once it is over.
    connection: Option<C>,
    /// Whoever reads the answer drives it.
    is_lent: bool,
    /// The task that does so otherwise, and that waits for something.
    task: Option<Waker>,
}

impl<C> Driven<C> {
    fn wake_task(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

impl<C> Drop for Driven<C> {
    fn drop(&mut self) {
        // With the connection goes whatever would have woken it, and it is to end.
        self.wake_task();
    }
}

impl<C> Clone for Driver<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Future + Unpin + Send + 'static> Driver<C> {
    /// Drives `connection` in a task of its own from now on.
    pub(super) fn spawn(connection: C) -> Self {
        let driver = Self(Arc::new(Mutex::new(Driven {
            connection: Some(connection),
            is_lent: false,
            task: None,
        })));
        tokio::spawn(drive(Arc::downgrade(&driver.0)));
        driver
    }

    /// What `look` sees: nothing if the connection is over, and not even that while it is polled, perhaps
    /// by whoever asks.
    pub(super) fn try_look<T>(&self, look: impl FnOnce(&C) -> T) -> Option<Option<T>> {
        let driven = match self.0.try_lock() {
            Ok(driven) => driven,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(driven.connection.as_ref().map(look))
    }

    /// Ends the connection now, whatever was left to do on it.
    pub(super) fn end(&self) {
        let mut driven = lock(&self.0);
        let connection = driven.connection.take();
        driven.wake_task();
        drop(driven);
        // Not under the lock: with it go requests, which have a hold on the connection.
        drop(connection);
    }

    /// From now on, until the loan is dropped, nobody drives the connection but its holder.
    pub(super) fn lend(&self) -> Loan<C> {
        lock(&self.0).is_lent = true;
        Loan(self.clone())
    }

    /// What `ask` comes to while the connection is locked, as it is while it is polled.
    #[cfg(test)]
    pub(super) fn while_polled<T>(&self, ask: impl FnOnce() -> T) -> T {
        let _locked = lock(&self.0);
        ask()
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut driven = lock(&self.0);
        let Some(connection) = driven.connection.as_mut() else {
            return Poll::Ready(());
        };
        if Pin::new(connection).poll(cx).is_pending() {
            return Poll::Pending;
        }
        drop(driven);
        self.end();
        Poll::Ready(())
    }
}

/// The right, and the duty, to drive a connection.
pub(super) struct Loan<C>(Driver<C>);

impl<C: Future + Unpin + Send + 'static> Loan<C> {
    /// Does what there is to do on the connection now; `cx` is woken when there is more. How it ends is
    /// learnt from the answer.
    pub(super) fn drive(&self, cx: &mut Context<'_>) {
        let _ended = self.0.poll(cx);
    }
}

impl<C> Drop for Loan<C> {
    fn drop(&mut self) {
        let mut driven = lock(&self.0.0);
        driven.is_lent = false;
        driven.wake_task();
    }
}

/// Drives a connection to its end, or until nobody holds it any more. Requests learn by themselves how it
/// ends.
async fn drive<C: Future + Unpin + Send + 'static>(driven: Weak<Mutex<Driven<C>>>) {
    std::future::poll_fn(move |cx| {
        let Some(driver) = driven.upgrade().map(Driver) else {
            return Poll::Ready(());
        };
        let mut driven = lock(&driver.0);
        let is_known = |task: &Waker| task.will_wake(cx.waker());
        if !driven.task.as_ref().is_some_and(is_known) {
            driven.task = Some(cx.waker().clone());
        }
        if driven.is_lent {
            return Poll::Pending;
        }
        drop(driven);
        driver.poll(cx)
    })
    .await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    /// A connection that counts how often it was polled, and says when it is dropped.
    struct Counted {
        polls: Arc<AtomicUsize>,
        ends: oneshot::Receiver<()>,
        _dropped: oneshot::Sender<()>,
    }

    impl Future for Counted {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.polls.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.ends).poll(cx).map(drop)
        }
    }

    struct Watched {
        driver: Driver<Counted>,
        polls: Arc<AtomicUsize>,
        end: oneshot::Sender<()>,
        dropped: oneshot::Receiver<()>,
    }

    fn watched() -> Watched {
        let polls = Arc::default();
        let (end, ends) = oneshot::channel();
        let (sender, dropped) = oneshot::channel();
        let driver = Driver::spawn(Counted {
            polls: Arc::clone(&polls),
            ends,
            _dropped: sender,
        });
        Watched {
            driver,
            polls,
            end,
            dropped,
        }
    }

    fn is_over(driver: &Driver<Counted>) -> bool {
        lock(&driver.0).connection.is_none()
    }

    fn tasks() -> usize {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    }

    #[tokio::test]
    async fn a_connection_that_is_lent_is_driven_by_nobody_else() {
        let watched = watched();
        yield_now().await;
        assert_eq!(watched.polls.load(Ordering::Relaxed), 1);
        let loan = watched.driver.lend();
        watched.end.send(()).unwrap();
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(watched.polls.load(Ordering::Relaxed), 1);
        assert!(!is_over(&watched.driver));
        drop(loan);
        watched.dropped.await.unwrap_err();
        assert!(is_over(&watched.driver));
    }

    #[tokio::test]
    async fn whoever_has_it_on_loan_drives_it() {
        let watched = watched();
        let loan = watched.driver.lend();
        watched.end.send(()).unwrap();
        let drive = |cx: &mut Context<'_>| {
            loan.drive(cx);
            Poll::Ready(())
        };
        std::future::poll_fn(drive).await;
        assert!(is_over(&watched.driver));
    }

    #[tokio::test]
    async fn its_task_ends_with_it_however_it_ends() {
        for is_dropped in [true, false] {
            let before = tasks();
            let watched = watched();
            yield_now().await;
            assert_eq!(tasks(), before + 1);
            if is_dropped {
                drop(watched.driver);
            } else {
                watched.driver.end();
            }
            watched.dropped.await.unwrap_err();
            yield_now().await;
            assert_eq!(tasks(), before);
        }
    }
}

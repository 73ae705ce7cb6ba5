//! Requests that a key be read again: made by any thread, taken by one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

/// Requests of the same kind are one until they are taken.
#[derive(Debug, Default)]
pub(crate) struct ReloadRequests {
    /// How many there were, and how many of these were taken.
    reloads: AtomicU64,
    taken: AtomicU64,
    /// How many of these were done; all that ever come once nobody takes any.
    done: watch::Sender<u64>,
    /// The newest that was refused; 0 if none was.
    refused: AtomicU64,
    any: Notify,
}

/// What was requested since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requested {
    /// Somebody sent SIGHUP.
    pub(crate) reload: bool,
    /// The number of a credential that the upstream has refused.
    pub(crate) refused: Option<u64>,
}

impl ReloadRequests {
    /// SIGHUP: the source is to be asked again. Gives the number of this request.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such signal"))]
    pub(crate) fn reload(&self) -> u64 {
        let number = self.reloads.fetch_add(1, Ordering::AcqRel) + 1;
        self.any.notify_one();
        number
    }

    /// Waits until the source was asked because of the request of this number, or nobody asks it any more.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such signal"))]
    pub(crate) async fn done(&self, number: u64) {
        let mut done = self.done.subscribe();
        // Fails only if no sender is left, and `self` has one.
        let _ = done.wait_for(|&done| done >= number).await;
    }

    /// What was taken last is done.
    pub(crate) fn note_done(&self) {
        self.done.send_replace(self.taken.load(Ordering::Acquire));
    }

    /// Nobody takes requests any more.
    pub(crate) fn close(&self) {
        self.done.send_replace(u64::MAX);
    }

    /// The upstream has answered 401 to a request with the credential of this number.
    pub(crate) fn refused(&self, number: u64) {
        self.refused.fetch_max(number, Ordering::AcqRel);
        self.any.notify_one();
    }

    /// Waits for a request. For one task; dropped before it is done, it has taken nothing.
    pub(crate) async fn next(&self) -> Requested {
        loop {
            let requested = Requested {
                reload: {
                    let reloads = self.reloads.load(Ordering::Acquire);
                    self.taken.swap(reloads, Ordering::AcqRel) < reloads
                },
                refused: match self.refused.swap(0, Ordering::AcqRel) {
                    0 => None,
                    number => Some(number),
                },
            };
            if requested != Requested::default() {
                return requested;
            }
            self.any.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use super::*;

    fn is_pending(future: Pin<&mut impl Future<Output = ()>>) -> bool {
        future
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    #[tokio::test]
    async fn who_asks_while_it_is_done_waits_for_the_next_time() {
        let requests = ReloadRequests::default();
        let mut first = pin!(requests.done(requests.reload()));
        assert!(is_pending(first.as_mut()));
        assert!(requests.next().await.reload);
        let mut second = pin!(requests.done(requests.reload()));
        assert!(is_pending(second.as_mut()));
        requests.note_done();
        first.await;
        assert!(is_pending(second.as_mut()));
        // Nor for ever for what nobody takes.
        requests.close();
        second.await;
        requests.done(requests.reload()).await;
    }

    #[tokio::test]
    async fn requests_of_one_kind_are_one_and_none_is_lost() {
        let requests = ReloadRequests::default();
        requests.refused(2);
        requests.refused(1);
        let (mut one, mut other) = (
            pin!(requests.done(requests.reload())),
            pin!(requests.done(requests.reload())),
        );
        assert!(is_pending(one.as_mut()) && is_pending(other.as_mut()));
        let expected = Requested {
            reload: true,
            refused: Some(2),
        };
        assert_eq!(requests.next().await, expected);
        assert!(is_pending(one.as_mut()));
        requests.note_done();
        tokio::join!(one, other);
        let later = async {
            tokio::task::yield_now().await;
            requests.refused(3);
        };
        let (taken, ()) = tokio::join!(requests.next(), later);
        let expected = Requested {
            reload: false,
            refused: Some(3),
        };
        assert_eq!(taken, expected);
    }
}
